"""Single queues: Erlang's formulas, M/M/c, M/M/c/K, M/D/c, M/G/c, G/G/c, processor sharing.

Rates are per second and times are seconds, or any other consistent pair. `servers` are parallel servers
behind one queue. Sources: Kleinrock, Queueing Systems I (1975); Tijms, A First Course in Stochastic Models
(2003); Cosmetatos, Some approximate equilibrium results for the multi-server queue (M/G/r), 1976.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import overload

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from groundplan.errors import ModelError
from groundplan.models import checks

Array = NDArray[np.float64]


@overload
def erlang_b(servers: int, offered_load: float) -> float: ...
@overload
def erlang_b(servers: int, offered_load: Array) -> Array: ...
def erlang_b(servers: int, offered_load: float | Array) -> float | Array:
    """Probability that a request is lost when all servers are busy and nobody waits (M/G/c/c).

    offered_load: arrival rate times mean service time, in Erlang; a number or an array of them.
    By recursion over the servers, so nothing overflows.
    """
    checks.whole("servers", servers, least=0)
    if isinstance(offered_load, np.ndarray):
        if not np.all(np.isfinite(offered_load)) or np.any(offered_load < 0):
            raise ModelError("offered_load is out of range", bound="finite and at least 0 everywhere")
        losses = np.ones_like(offered_load, dtype=np.float64)
        for busy in range(1, servers + 1):
            losses = offered_load * losses / (busy + offered_load * losses)
        return losses
    load = checks.finite("offered_load", offered_load, least=0.0)
    loss = 1.0
    for busy in range(1, servers + 1):
        loss = load * loss / (busy + load * loss)
    return loss


@overload
def erlang_c(servers: int, offered_load: float) -> float: ...
@overload
def erlang_c(servers: int, offered_load: Array) -> Array: ...
def erlang_c(servers: int, offered_load: float | Array) -> float | Array:
    """Probability that a request has to wait in M/M/c. offered_load as in `erlang_b`, below `servers`."""
    checks.whole("servers", servers)
    loss = erlang_b(servers, offered_load)
    utilization = offered_load / servers
    if np.any(utilization >= 1):
        checks.stable(float(np.max(offered_load)), servers)
    result: float | Array = loss / (1 - utilization * (1 - loss))
    return result


def servers_for_loss(offered_load: float, loss: float) -> int:
    """Fewest servers that lose no more than `loss` of the requests (M/G/c/c)."""
    checks.finite("offered_load", offered_load, least=0.0)
    checks.finite("loss", loss, above=0.0)
    servers, probability = 0, 1.0
    while probability > loss:
        servers += 1
        probability = offered_load * probability / (servers + offered_load * probability)
    return servers


@dataclass(frozen=True)
class MMc:
    """M/M/c: Poisson arrivals, exponential service, one queue, unlimited room.

    Raises ModelError for rates that aren't finite and positive, and for a queue without a steady state.
    """

    arrival_rate: float
    service_rate: float
    servers: int = 1

    def __post_init__(self) -> None:
        checks.finite("arrival_rate", self.arrival_rate, least=0.0)
        checks.finite("service_rate", self.service_rate, above=0.0)
        checks.whole("servers", self.servers)
        checks.stable(self.arrival_rate, self.servers * self.service_rate)

    @property
    def utilization(self) -> float:
        """Share of the time that a server is busy."""
        return self.arrival_rate / (self.servers * self.service_rate)

    @property
    def empty_probability(self) -> float:
        """Probability that nobody is there (p0)."""
        load = self.arrival_rate / self.service_rate
        waiting_room = _poisson(self.servers, load) / (1 - self.utilization)
        return math.exp(-load) / float(special.gammaincc(self.servers, load) + waiting_room)

    @property
    def wait_probability(self) -> float:
        """Probability that a request waits (Erlang C)."""
        return erlang_c(self.servers, self.arrival_rate / self.service_rate)

    @property
    def mean_wait(self) -> float:
        """Mean time in the queue (Wq)."""
        return self.wait_probability / (self.servers * self.service_rate - self.arrival_rate)

    @property
    def mean_response(self) -> float:
        """Mean time in queue and service (W)."""
        return self.mean_wait + 1 / self.service_rate

    @property
    def mean_waiting(self) -> float:
        """Mean number in the queue (Lq)."""
        return self.arrival_rate * self.mean_wait

    @property
    def mean_present(self) -> float:
        """Mean number in queue and service (L)."""
        return self.arrival_rate * self.mean_response

    def response_tail(self, time: float) -> float:
        """Probability that the response takes longer than `time`; exact."""
        checks.finite("time", time, least=0.0)
        wait, mu = self.wait_probability, self.service_rate
        theta = self.servers * mu - self.arrival_rate
        gap = (theta - mu) * time
        if abs(gap) < 1e-3:
            # both rates nearly equal: the difference quotient by its expansion, which doesn't cancel
            both = math.exp(-mu * time) * (1 + mu * time * (1 - gap / 2 + gap * gap / 6))
        else:
            both = (theta * math.exp(-mu * time) - mu * math.exp(-theta * time)) / (theta - mu)
        return (1 - wait) * math.exp(-mu * time) + wait * both

    def response_percentile(self, share: float) -> float:
        """Time that `share` of the responses stay within, such as 0.95; exact."""
        if not 0 < share < 1:
            raise ModelError("share is out of range", value=share, bound="between 0 and 1")
        slowest = min(self.service_rate, self.servers * self.service_rate - self.arrival_rate)
        high = (1 - math.log1p(-share)) / slowest
        while self.response_tail(high) > 1 - share:
            high *= 2
        return float(
            optimize.brentq(lambda t: self.response_tail(t) - (1 - share), 0, high, xtol=1e-15 * high)
        )


@dataclass(frozen=True)
class MMcK:
    """M/M/c/K: as M/M/c, but requests that find `room` others there are lost. Any load has a steady state."""

    arrival_rate: float
    service_rate: float
    servers: int
    room: int

    def __post_init__(self) -> None:
        checks.finite("arrival_rate", self.arrival_rate, least=0.0)
        checks.finite("service_rate", self.service_rate, above=0.0)
        checks.whole("servers", self.servers)
        checks.whole("room", self.room, least=self.servers)

    @property
    def probabilities(self) -> Array:
        """Probability of 0, 1, ... `room` requests being there."""
        load = self.arrival_rate / self.service_rate
        if load == 0:
            return np.concatenate([[1.0], np.zeros(self.room)])
        steps = np.log(load) - np.log(np.minimum(np.arange(1, self.room + 1), self.servers))
        logs = np.concatenate([[0.0], np.cumsum(steps)])
        weights = np.exp(logs - logs.max())
        return np.asarray(weights / weights.sum(), dtype=np.float64)

    @property
    def empty_probability(self) -> float:
        """Probability that nobody is there (p0)."""
        return float(self.probabilities[0])

    @property
    def loss_probability(self) -> float:
        """Probability that a request is turned away (pK)."""
        return float(self.probabilities[-1])

    @property
    def throughput(self) -> float:
        """Requests served per second."""
        return self.arrival_rate * (1 - self.loss_probability)

    @property
    def mean_response(self) -> float:
        """Mean time in queue and service of those that get in (W)."""
        if self.arrival_rate == 0:
            return 1 / self.service_rate
        return float(self.probabilities @ np.arange(self.room + 1)) / self.throughput


@lru_cache(maxsize=4096)
def mdc_wait(utilization: float, servers: int) -> float:
    """Mean wait of M/D/c in units of the service time; exact.

    From the roots z of z^c = exp(c·utilization·(z - 1)) inside the unit circle (Crommelin 1932), found by
    Newton's method.
    """
    rho = checks.finite("utilization", utilization, least=0.0)
    checks.whole("servers", servers)
    checks.stable(rho, 1.0)
    if rho == 0:
        return 0.0
    if special.gammainc(servers, rho * servers) < 1e-12:
        return 0.0  # nobody ever waits, and the sum below would be all rounding error
    directions = np.exp(2j * np.pi * np.arange(1, servers) / servers)
    roots = directions * math.exp(-rho)
    for _ in range(200):
        image = directions * np.exp(rho * (roots - 1))
        step = (roots - image) / (1 - rho * image)
        roots = roots - step
        if not step.size or np.max(np.abs(step)) < 1e-15:
            break
    load, free = rho * servers, servers * (1 - rho)
    queue = (load * load - servers * (servers - 1)) / (2 * free) + float(np.sum(1 / (1 - roots)).real)
    return max(queue, 0.0) / load


def _poisson(count: int, mean: float) -> float:
    """Probability of this count where `mean` of them are expected."""
    return math.exp(count * math.log(mean) - mean - math.lgamma(count + 1)) if mean else float(count == 0)


def mdc_wait_cosmetatos(utilization: float, servers: int) -> float:
    """Mean wait of M/D/c in units of the service time; Cosmetatos' approximation of `mdc_wait`."""
    rho = checks.finite("utilization", utilization, above=0.0)
    checks.whole("servers", servers)
    exponential = MMc(rho * servers, 1.0, servers).mean_wait
    correction = (1 - rho) * (servers - 1) * (math.sqrt(4 + 5 * servers) - 2) / (16 * rho * servers)
    return 0.5 * exponential * (1 + correction)


def mgc_wait(utilization: float, servers: int, scv: float) -> float:
    """Mean wait of M/G/c in units of the mean service time.

    scv: squared coefficient of variation of the service time. Exact for M/M/c, M/D/c and M/G/1; in between
    the exponential and the constant case are interpolated (Tijms 2003, 9.6).
    """
    rho = checks.finite("utilization", utilization, least=0.0)
    checks.finite("scv", scv, least=0.0)
    checks.whole("servers", servers)
    checks.stable(rho, 1.0)
    if rho == 0:
        return 0.0
    exponential = erlang_c(servers, rho * servers) / (servers * (1 - rho))
    if scv == 1:
        return exponential
    if servers == 1:
        return exponential * (1 + scv) / 2
    constant = mdc_wait(rho, servers)
    return scv * exponential + (1 - scv) * constant


def ggc_wait(utilization: float, servers: int, scv: float, arrival_scv: float) -> float:
    """Mean wait of G/G/c in units of the mean service time: M/G/c times (ca² + cs²) / (1 + cs²).

    arrival_scv: squared coefficient of variation of the times between arrivals; 1 for Poisson arrivals
    (Allen and Cunneen; Whitt 1993).
    """
    checks.finite("arrival_scv", arrival_scv, least=0.0)
    return mgc_wait(utilization, servers, scv) * (arrival_scv + scv) / (1 + scv)


def waiting_scv(utilization: float, scv: float) -> float:
    """Squared coefficient of variation of the wait of those that wait, exact for M/G/1 with gamma service.

    From the second moment of the wait (Takács 1962). For more servers it is an approximation: then the busy
    servers together work like one fast server.
    """
    return 2 * utilization - 1 + 4 * (1 - utilization) * (1 + 2 * scv) / (3 * (1 + scv))


def processor_sharing_response(service_time: float, utilization: float) -> float:
    """Mean response time S / (1 - U) of a server that all present requests share, however S varies."""
    checks.finite("service_time", service_time, least=0.0)
    checks.finite("utilization", utilization, least=0.0)
    checks.stable(utilization, 1.0)
    return service_time / (1 - utilization)
