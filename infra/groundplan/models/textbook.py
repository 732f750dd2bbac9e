"""Three formulas of an introductory text, kept under their names as documented cases.

No decision uses them; the models beside this module do. docs/models.md states where their results go wrong.
"""

import math
from decimal import Decimal

from groundplan.models import checks


def processing_time(requests_per_second: float, speed_up: float) -> float:
    """T = 1 / (S · eps), the text's time of one request in seconds.

    It ignores waiting altogether: see `queueing.MMc.mean_response` for a response time.
    """
    checks.finite("requests_per_second", requests_per_second, above=0.0)
    checks.finite("speed_up", speed_up, above=0.0)
    return 1 / (requests_per_second * speed_up)


def reliability(failure_rate: float, time: float) -> float:
    """R = e^(-t·lambda), the probability of running for `time`, in the same unit, without a failure.

    It knows no repair: see `availability.steady_state` for the share of time that a repaired part is up.
    """
    checks.finite("failure_rate", failure_rate, least=0.0)
    checks.finite("time", time, least=0.0)
    return math.exp(-time * failure_rate)


def benefit_cost_ratio(benefit: Decimal, cost: Decimal) -> Decimal:
    """The text's "ROI" = R / C. A return on investment is (R - C) / C: see `cost.roi`."""
    checks.finite("cost", float(cost), above=0.0)
    return benefit / cost
