from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplan.errors import ModelError
from groundplan.models.finance import irr, npv, payback


def test_net_present_value_matches_the_published_case() -> None:
    assert float(npv(0.08, [-40_000, 5_000, 8_000, 12_000, 30_000])) == pytest.approx(3065.22267, abs=5e-6)


def test_internal_rate_of_return_matches_the_published_case() -> None:
    assert irr([-100, 39, 59, 55, 20]) == pytest.approx(0.28095, abs=5e-6)


@given(st.integers(1, 10_000), st.lists(st.integers(1, 5_000), min_size=1, max_size=12))
def test_the_internal_rate_makes_the_net_present_value_zero(spent: int, returns: list[int]) -> None:
    rate = irr([-spent, *returns])
    assert rate is not None
    assert float(npv(rate, [-spent, *returns])) == pytest.approx(0, abs=1e-6 * max(spent, sum(returns)))


def test_without_one_change_of_sign_there_is_no_internal_rate() -> None:
    assert irr([100, 50]) is None
    assert irr([-100, 230, -132]) is None
    assert irr([]) is None


def test_payback_lies_within_the_period_in_which_the_sum_turns_positive() -> None:
    assert payback([-100, 40, 40, 40]) == Decimal("2.5")
    assert payback([-100, 100]) == 1
    assert payback([-100, 10]) is None
    assert payback([0, 10]) == 0


def test_money_stays_exact() -> None:
    assert npv(Decimal("0"), [Decimal("0.10")] * 3) == Decimal("0.30")


def test_a_rate_of_minus_one_is_refused() -> None:
    with pytest.raises(ModelError, match="rate is out of range"):
        npv(-1.0, [1, 1])
