"""Worth of payments over time: net present value, internal rate of return, payback.

Amounts are `Decimal` or whole numbers and stay so; rates are per period, 0.08 for 8 %.
"""

import itertools
from collections.abc import Sequence
from decimal import Decimal

from scipy import optimize

from groundplan.errors import ModelError
from groundplan.models import checks


def npv(rate: float | Decimal, flows: Sequence[Decimal | int]) -> Decimal:
    """Net present value of payments at the ends of periods 0, 1, 2, ...; the first isn't discounted."""
    factor = 1 + (rate if isinstance(rate, Decimal) else Decimal(repr(checks.finite("rate", rate))))
    if factor <= 0:
        raise ModelError("rate is out of range", value=rate, bound="greater than -1")
    return sum((Decimal(flow) / factor**period for period, flow in enumerate(flows)), Decimal(0))


def irr(flows: Sequence[Decimal | int]) -> float | None:
    """Rate at which the net present value of the payments is zero; None unless there is exactly one.

    A series that changes sign once, such as an expense followed by returns, has exactly one.
    """
    signs = [flow > 0 for flow in flows if flow != 0]
    if sum(a != b for a, b in itertools.pairwise(signs)) != 1:
        return None
    amounts = [float(flow) for flow in flows]

    def value(discount: float) -> float:
        # in the discount 1/(1+rate), which is a polynomial
        total = 0.0
        for amount in reversed(amounts):
            total = total * discount + amount
        return total

    high = 1.0
    while value(high) * value(0.0 if amounts[0] else 1e-9) > 0:
        high *= 2
        if high > 1e9:
            return None
    return 1 / float(optimize.brentq(value, 0.0 if amounts[0] else 1e-9, high, xtol=1e-15)) - 1


def payback(flows: Sequence[Decimal | int]) -> Decimal | None:
    """Periods until the payments so far add up to zero, evenly within a period; None when they never do."""
    total = Decimal(0)
    for period, flow in enumerate(flows):
        if total < 0 <= total + flow:
            return Decimal(period - 1) + (-total) / Decimal(flow)
        total += flow
        if period == 0 and total >= 0:
            return Decimal(0)
    return None
