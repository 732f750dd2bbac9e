"""How much longer work takes on a CPU that it shares.

Service times are given at full speed: one core for each request that is being worked on. When more requests run
than there are cores, they share them evenly and each slows down.
"""

import math

from groundplan.models import checks


def stretch(busy_cores: float, cores: float, at_once: int) -> float:
    """Factor by which CPU work takes longer: 1 when cores are never short.

    busy_cores: cores that the work needs on average (rate times CPU seconds). cores: cores that there are; below
    one, each request runs at that fraction of full speed. at_once: requests that can run at the same time.

    The requests that are present follow the birth-death chain of M/M/c, whose rate is the cores in use; at most
    `at_once` of them run, the rest wait for a worker. The factor is the mean number that run over the number
    that would run at full speed. With exponential work and one service it makes the mean response time exact
    (M/M/c, and S / (1 - U) for one core); the mean of processor sharing doesn't depend on the distribution.
    Raises ModelError when the cores can't keep up.
    """
    checks.finite("busy_cores", busy_cores, least=0.0)
    checks.finite("cores", cores, above=0.0)
    checks.whole("at_once", at_once)
    checks.stable(busy_cores, cores)
    if at_once <= cores:
        return 1.0
    if busy_cores == 0:
        return max(1.0, 1 / cores)
    # probabilities relative to an empty CPU, scaled as they grow so that nothing overflows
    whole_cores = math.ceil(cores)
    weight, total, running = 1.0, 1.0, 0.0
    for present in range(1, whole_cores + 1):
        weight *= busy_cores / min(present, cores)
        total += weight
        running += min(present, at_once) * weight
        if total > 1e250:
            weight, running, total = weight / total, running / total, 1.0
    ratio = busy_cores / cores
    # beyond `whole_cores` present, a geometric tail; those that run stop growing at `at_once`
    tail = weight * ratio / (1 - ratio)
    growing = max(at_once - whole_cores, 0)
    capped = ratio**growing if growing else 1.0
    running += (
        tail * whole_cores + weight * ratio * (1 - capped) / (1 - ratio) ** 2 if growing else tail * at_once
    )
    return max(1.0, running / (total + tail) / busy_cores)


def stretched_scv(scv: float, factor: float) -> float:
    """Squared coefficient of variation of work that takes `factor` times as long on average by sharing.

    For one shared core and exponential work the variance is known: scv (2 + U) / (2 - U) at utilization U
    (Coffman, Muntz and Trotter 1970), and the factor is 1 / (1 - U). The same addition is used for more cores
    and other distributions.
    """
    shortage = 1 - 1 / factor
    return scv + 2 * shortage / (2 - shortage)
