"""Availability of parts that fail and are repaired: series, parallel, m-of-n, common causes.

Sources: Rausand and Høyland, System Reliability Theory (2nd ed. 2004); Ushakov, Handbook of Reliability
Engineering (1994). Times may be in any unit, as long as it is one.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from groundplan.models import checks


def steady_state(mtbf: float, mttr: float) -> float:
    """Availability MTBF / (MTBF + MTTR) of a part; MTBF is its mean up time."""
    checks.finite("mtbf", mtbf, above=0.0)
    checks.finite("mttr", mttr, least=0.0)
    return mtbf / (mtbf + mttr)


def series(availabilities: Iterable[float]) -> float:
    """Availability of independent parts that are all needed."""
    return math.prod(checks.probability("availability", value) for value in availabilities)


def parallel(availabilities: Iterable[float]) -> float:
    """Availability of independent parts of which one is enough."""
    return 1 - math.prod(1 - checks.probability("availability", value) for value in availabilities)


def m_of_n(needed: int, parts: int, availability: float) -> float:
    """Probability that at least `needed` of `parts` independent equal parts are up."""
    checks.whole("needed", needed, least=0)
    checks.whole("parts", parts, least=0)
    checks.probability("availability", availability)
    return float(at_least(needed, parts, availability))


def at_least(needed: int, parts: ArrayLike, availability: float) -> NDArray[np.float64]:
    """Binomial tail P(X >= needed) for each number of parts, by the incomplete beta function."""
    counts = np.asarray(parts)
    if needed <= 0:
        return np.ones(counts.shape)
    enough = counts >= needed
    others = np.where(enough, counts - needed + 1, 1)
    return np.where(enough, special.betainc(needed, others, availability), 0.0)


def survival(failure_rate: float, time: float) -> float:
    """Probability that a part with this constant failure rate runs for `time` without a failure."""
    checks.finite("failure_rate", failure_rate, least=0.0)
    checks.finite("time", time, least=0.0)
    return math.exp(-failure_rate * time)


@dataclass(frozen=True)
class Repairable:
    """m of n equal, independent, repairable parts as one system.

    unavailability: share of the time that fewer than `needed` parts are up. mean_up_time and mean_down_time:
    how long the system stays up and down each time.
    """

    unavailability: float
    mean_up_time: float
    mean_down_time: float

    @property
    def availability(self) -> float:
        """Share of the time that enough parts are up."""
        return 1 - self.unavailability


def repairable_m_of_n(needed: int, parts: int, mtbf: float, mttr: float) -> Repairable:
    """Availability, mean up time and mean down time of m of n parts, each with its own repair.

    From the frequency at which the system fails, m C(n,m) A^m U^(n-m) / MTBF.
    """
    checks.whole("parts", parts)
    checks.whole("needed", needed)
    up = steady_state(mtbf, mttr)
    down = mttr / (mtbf + mttr)
    unavailability = float(at_least(parts - needed + 1, parts, down))
    frequency = needed * math.comb(parts, needed) * up**needed * down ** (parts - needed) / mtbf
    if frequency == 0:
        return Repairable(unavailability, math.inf, 0.0)
    return Repairable(unavailability, (1 - unavailability) / frequency, unavailability / frequency)


def m_of_n_with_common_cause(needed: int, parts: int, unavailability: float, beta: float) -> float:
    """Availability of m of n parts, a share `beta` of whose unavailability hits all of them together.

    The beta-factor model (IEC 61508-6, annex D).
    """
    checks.probability("unavailability", unavailability)
    checks.probability("beta", beta)
    return (1 - beta * unavailability) * m_of_n(needed, parts, 1 - (1 - beta) * unavailability)


def error_budget(availability: float, period: float) -> float:
    """Time within `period` that a part with this availability may be down."""
    checks.finite("period", period, above=0.0)
    return (1 - checks.probability("availability", availability)) * period
