import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from groundplan.models.distribution import gamma, longest, waiting

SHARES = (0.5, 0.95, 0.99)


@given(st.floats(1e-4, 100), st.floats(0.05, 4))
def test_percentiles_of_one_gamma_time_are_those_of_scipy(mean: float, scv: float) -> None:
    expected = stats.gamma(1 / scv, scale=scv * mean).ppf(SHARES)
    assert gamma(mean, scv).percentiles(SHARES) == pytest.approx(expected, rel=0.01, abs=0.02 * mean)


def test_a_constant_time_has_itself_as_every_percentile() -> None:
    assert gamma(0.2, 0).percentiles(SHARES) == pytest.approx((0.2,) * 3, rel=0.03)


def test_no_time_at_all_stays_none() -> None:
    nothing = gamma(0, 1)
    assert nothing.percentiles(SHARES) == (0, 0, 0)
    assert nothing.after(gamma(1, 1)).mean == 1


def test_two_exponential_times_add_up_to_an_erlang_time() -> None:
    both = gamma(1, 1).after(gamma(1, 1))
    assert both.variance == pytest.approx(2)
    assert both.percentiles(SHARES) == pytest.approx(stats.gamma(2).ppf(SHARES), rel=0.01)
    assert gamma(1, 1).repeated(2, 1).percentiles(SHARES) == pytest.approx(both.percentiles(SHARES))


def test_a_call_in_some_of_the_requests_makes_two_kinds_of_requests() -> None:
    # 10 ms for all and 200 ms more for one in ten: 95 % lies within the slow kind
    mixed = gamma(0.01, 0.1).after(gamma(0.2, 0.1).repeated(1, 0.1))
    assert mixed.mean == pytest.approx(0.03)
    p50, p95, _ = mixed.percentiles(SHARES)
    assert p50 == pytest.approx(0.0102, rel=0.1)
    assert p95 == pytest.approx(0.01 + 0.19, rel=0.1)


def test_a_fractional_count_is_a_mix_of_whole_counts() -> None:
    between = gamma(1, 0).repeated(2.5, 1)
    assert between.mean == 2.5
    assert between.variance == pytest.approx(0.25)


def test_a_wait_that_never_happens_takes_no_time() -> None:
    assert waiting(0, 0, 1).mean == 0


def test_a_wait_of_some_keeps_its_mean_over_all() -> None:
    wait = waiting(0.25, 0.1, 1)
    assert wait.mean == pytest.approx(0.1)
    assert wait.variance == pytest.approx(0.25 * 2 * 0.4**2 - 0.1**2)


def test_the_longest_of_exponential_times_has_the_harmonic_mean() -> None:
    three = longest([(gamma(1, 1), 3, 1.0)])
    assert three.mean == pytest.approx(1 + 1 / 2 + 1 / 3, rel=1e-3)
    assert three.variance == pytest.approx(1 + 1 / 4 + 1 / 9, rel=1e-2)


def test_a_branch_that_is_seldom_taken_counts_seldom() -> None:
    assert longest([(gamma(1, 1), 1, 0.25)]).mean == pytest.approx(0.25, rel=1e-2)
