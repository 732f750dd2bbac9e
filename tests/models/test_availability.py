import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplan.errors import ModelError
from groundplan.models import availability as a

shares = st.floats(0.5, 1)


def test_three_of_four_matches_the_published_case() -> None:
    assert a.m_of_n(3, 4, 0.9) == pytest.approx(0.9477)


def test_two_of_three_without_repair_matches_the_published_case() -> None:
    assert a.m_of_n(2, 3, a.survival(3e-5, 1e4)) == pytest.approx(0.8332956, abs=5e-8)


def test_two_of_three_with_repair_matches_the_published_case() -> None:
    system = a.repairable_m_of_n(2, 3, mtbf=720, mttr=0.5)
    assert system.unavailability == pytest.approx(1.44408e-6, rel=1e-5)
    assert system.mean_up_time == pytest.approx(173160, rel=1e-5)
    assert system.mean_down_time == pytest.approx(0.250058, abs=5e-7)
    assert system.availability == pytest.approx(1 - system.unavailability)


def test_independent_events_combine_as_published() -> None:
    failures = (0.1, 0.2, 0.3)
    assert 1 - a.series(1 - p for p in failures) == pytest.approx(0.496)
    assert 1 - a.parallel([0.9, 0.8]) == pytest.approx(0.02)


def test_parts_that_never_fail_stay_up_for_ever() -> None:
    assert a.repairable_m_of_n(1, 2, mtbf=100, mttr=0).mean_up_time == math.inf


def test_error_budgets_match_the_published_ones() -> None:
    assert a.error_budget(0.999, 30 * 24 * 60) == pytest.approx(43.2)
    assert a.error_budget(0.999, 365 * 24 * 60) == pytest.approx(525.6)


@given(st.integers(1, 5), st.integers(0, 5), shares)
def test_more_spare_parts_never_hurt_and_more_needed_ones_never_help(m: int, n: int, up: float) -> None:
    assert a.m_of_n(m, m + n, up) <= a.m_of_n(m, m + n + 1, up) + 1e-12
    assert a.m_of_n(m + 1, m + n, up) <= a.m_of_n(m, m + n, up) + 1e-12


@given(st.integers(2, 6), st.floats(0.001, 0.3), st.floats(0, 1))
def test_a_common_cause_never_helps_redundant_parts(n: int, down: float, beta: float) -> None:
    assert a.m_of_n_with_common_cause(1, n, down, beta) <= a.m_of_n(1, n, 1 - down) + 1e-12


def test_with_only_common_causes_replicas_are_worth_one() -> None:
    assert a.m_of_n_with_common_cause(1, 5, 0.01, 1.0) == pytest.approx(0.99)


def test_impossible_inputs_are_refused() -> None:
    with pytest.raises(ModelError):
        a.steady_state(0, 1)
    with pytest.raises(ModelError):
        a.m_of_n(1, 2, 1.5)
    with pytest.raises(ModelError):
        a.steady_state(math.nan, 1)
