"""The worked case of an introductory text: its figures, the right ones, and why they differ."""

from decimal import Decimal

import pytest

from groundplan.models import cost, textbook
from groundplan.models.queueing import MMc


def test_the_text_prints_twice_what_its_own_formula_gives_for_a_time() -> None:
    # S = 10/s and eps = 2: the text prints 0.1 s, which is 1 / S; its formula 1 / (S eps) gives 0.05 s
    printed = 0.1
    assert textbook.processing_time(10, 2) == pytest.approx(0.05)
    assert printed == 1 / 10


def test_the_texts_time_is_no_response_time() -> None:
    # a server that needs 0.05 s for each request and gets 10 requests/s takes 0.1 s: waiting doubles the time
    assert MMc(10, 1 / textbook.processing_time(10, 2)).mean_response == pytest.approx(0.1)


def test_the_text_replaces_the_exponential_by_its_tangent_for_reliability() -> None:
    # lambda = 0.01/h over 24 h: the text takes lambda/60 per minute and 1 - 24·60·(0.01/60) = 0.76
    printed = 1 - 24 * 60 * (0.01 / 60)
    assert printed == pytest.approx(0.76)
    assert textbook.reliability(0.01, 24) == pytest.approx(0.787, abs=5e-4)
    assert textbook.reliability(0.01 / 60, 24 * 60) == pytest.approx(textbook.reliability(0.01, 24))


def test_the_texts_return_is_a_ratio_that_still_contains_what_was_spent() -> None:
    # cost 1 000 000 and benefit 2 000 000: a ratio of 2, which is a return of 100 %
    benefit, spent = Decimal(2_000_000), Decimal(1_000_000)
    assert textbook.benefit_cost_ratio(benefit, spent) == 2
    assert cost.roi(spent, benefit, "USD", months=1).ratio == 1
