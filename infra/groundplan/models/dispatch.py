"""Waiting in front of several equal replicas, by how requests are handed to them.

A replica is one queue with `servers` workers. Three disciplines, from worst to best:

- random: Poisson arrivals split evenly, so each replica is an M/G/servers queue of its own (exact split).
- least-connections: a request joins the replica with the fewest requests. Our fit, see `_least_connections`.
- pooled: all workers of all replicas serve one queue, M/G/(replicas·servers). No discipline does better.
"""

from dataclasses import dataclass

from groundplan.models import checks
from groundplan.models.cpu import Contention
from groundplan.models.distribution import Distribution, waiting
from groundplan.models.queueing import erlang_c, mgc_wait, waiting_scv
from groundplan.spec import Dispatch


@dataclass(frozen=True)
class Wait:
    """Waiting of a request before a worker takes it.

    probability: share of the requests that wait. mean: seconds, over all requests. scv: squared coefficient
    of variation of the wait of those that wait.
    """

    probability: float
    mean: float
    scv: float

    @property
    def distribution(self) -> Distribution:
        """The wait as a distribution: none, or a gamma distribution."""
        return waiting(self.probability, self.mean, self.scv)


def wait(
    *,
    arrival_rate: float,
    service_time: float,
    scv: float,
    servers: int,
    replicas: int,
    dispatch: Dispatch,
    contention: Contention = Contention(1.0),  # noqa: B008  # frozen
) -> Wait:
    """Waiting of requests that arrive at `arrival_rate` in front of `replicas` replicas together.

    service_time: mean seconds that a request holds a worker; scv: its squared coefficient of variation.
    contention: makes waiting for a worker longer and more frequent where workers share a CPU.
    Raises ModelError when the replicas can't keep up.
    """
    checks.whole("servers", servers)
    checks.whole("replicas", replicas)
    checks.finite("arrival_rate", arrival_rate, least=0.0)
    checks.finite("service_time", service_time, least=0.0)
    if arrival_rate == 0 or service_time == 0:
        return Wait(0.0, 0.0, 1.0)
    checks.stable(arrival_rate, servers * replicas / service_time)
    utilization = arrival_rate * service_time / (servers * replicas)
    conditional_scv = waiting_scv(utilization, scv)
    behind_one_queue = servers if dispatch == "random" else servers * replicas
    probability = erlang_c(behind_one_queue, utilization * behind_one_queue)
    mean = mgc_wait(utilization, behind_one_queue, scv)
    rarer, excess = 1.0, 0.0
    if dispatch == "least-connections" and replicas > 1 and probability > 0:
        rarer, excess = _least_connections(probability, utilization, scv, servers, replicas)
    often = min(1.0, probability * contention.wait_probability_factor) * rarer
    pooled = mean * contention.wait_factor
    # no discipline beats one queue for all, which the fit may do where hardly anybody waits
    whole = max(pooled, pooled * rarer + probability * rarer * excess)
    return Wait(often, whole * service_time, conditional_scv)


def _least_connections(
    pooled_probability: float, utilization: float, scv: float, servers: int, replicas: int
) -> tuple[float, float]:
    """How much rarer, and longer, waits are when the shortest queue is joined than with one queue.

    A request waits only when all workers of all replicas are busy, a little less often than with one queue.
    Then it waits as with one queue, and longer because it is bound to one replica: the excess, in service
    times, is the rest of one service time at light load (Nelson and Philips 1993 reason alike), and shrinks
    as the load rises. The factors and exponents are fitted to simulations of 2 to 8 replicas with 1 to 8
    workers at utilizations of .3 to .95; docs/models.md states the error.
    """
    exponent = 0.115 * (replicas - 1) ** 0.65 * servers**-0.2 * utilization**1.5
    excess = (1 - 1 / replicas) * (1 - utilization / 2) * (1 + scv) / 2 / servers
    return pooled_probability**exponent, excess
