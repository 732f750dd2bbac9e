"""How much longer work takes on a CPU that it shares, and how that changes waiting for a worker.

Service times are given at full speed: one core for each request that is being worked on. When more requests
run than there are cores, they share them evenly and each slows down.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from groundplan.models import checks
from groundplan.models.queueing import erlang_c

Array = NDArray[np.float64]

_AT_ONCE_AT_MOST = 128  # more requests than this at once are treated as this many


@dataclass(frozen=True)
class Contention:
    """What sharing a CPU does to a service.

    stretch: factor by which its CPU work takes longer. wait_factor, wait_probability_factor: how much longer
    and more often requests wait for a worker than in M/M/c with the stretched service time, because work is
    slow just when many are present.
    """

    stretch: float
    wait_factor: float = 1.0
    wait_probability_factor: float = 1.0
    speed_alone: float = 1.0

    def scv_of_work(self, scv: float) -> float:
        """Squared coefficient of variation of the stretched CPU work, from that of the work at full speed.

        For one shared core and exponential work it is (2 + U) / (2 - U) at utilization U (Coffman, Muntz and
        Trotter 1970), and sharing stretches by 1 / (1 - U). The same addition is used for more cores and
        other distributions.
        """
        shortage = 1 - 1 / max(self.stretch * self.speed_alone, 1.0)
        return scv + 2 * shortage / (2 - shortage)


@dataclass(frozen=True)
class Others:
    """Other work on the same cores: cores that it keeps busy, and its requests that run at once."""

    busy_cores: float = 0.0
    at_once: int = 0


def contention(
    *,
    arrival_rate: float,
    cpu_seconds: float,
    other_seconds: float,
    workers: int,
    cores: float,
    others: Others = Others(),  # frozen
) -> Contention | None:
    """Contention of a service for `cores`, below one meaning a fraction of full speed; None when overloaded.

    arrival_rate: requests per second. cpu_seconds, other_seconds: what one request needs of a core at full
    speed, and how long it holds its worker besides. workers: requests that are served at once.

    A flow-equivalent server (Chandy, Herzog and Woo 1975): the throughput with 1, 2, ... `workers` requests
    in service becomes the rates of a birth-death chain of all that are present. The speed with a given number
    of own requests is the mean over the others' birth-death chain on what is left of the cores. Exact for
    exponential work without others: M/M/c on c cores, whatever the workers; S / (1 - U) on one core.
    """
    checks.finite("arrival_rate", arrival_rate, least=0.0)
    checks.finite("cpu_seconds", cpu_seconds, above=0.0)
    checks.finite("other_seconds", other_seconds, least=0.0)
    checks.finite("cores", cores, above=0.0)
    checks.whole("workers", workers)
    if arrival_rate * cpu_seconds + others.busy_cores >= cores:
        return None
    alone = min(1.0, cores)
    counted = workers
    if workers > _AT_ONCE_AT_MOST:  # nobody waits for a worker, and only what runs counts
        counted, other_seconds = _AT_ONCE_AT_MOST, 0.0
    speeds = _speeds(counted, cores, others)
    grid = np.arange(counted + 1, dtype=np.float64)
    rates = _throughputs(cpu_seconds, other_seconds, speeds)
    if arrival_rate == 0:
        return Contention(1 / float(speeds[1]), speed_alone=alone)
    last = arrival_rate / rates[-1]
    if last >= 1:
        return None if counted == workers else Contention(1 / float(speeds[-1]), speed_alone=alone)
    logs = np.concatenate([[0.0], np.cumsum(math.log(arrival_rate) - np.log(rates[1:]))])
    weights = np.exp(logs - logs.max())
    queued = weights[-1] * last / (1 - last)  # the geometric tail of those that wait
    total = weights.sum() + queued
    busy = float((weights @ grid + queued * counted) / total)
    stretch = max((busy / arrival_rate - other_seconds) / cpu_seconds, 1.0, 1 / cores)
    usual = erlang_c(counted, busy) if busy < counted else 0.0
    if counted < workers or usual < 1e-12:
        return Contention(stretch, speed_alone=alone)
    probability = float((weights[-1] + queued) / total)
    waiting = float(weights[-1] * last / (1 - last) ** 2 / total)
    usual_waiting = usual * busy / (counted - busy)
    return Contention(stretch, waiting / usual_waiting, probability / usual, alone)


def _throughputs(cpu_seconds: float, other_seconds: float, speeds: Array) -> Array:
    """Requests per second that leave while 0, 1, ... are in service.

    A closed network of the CPU and a delay: G(j-1) / G(j), with G by convolution (Buzen 1973), in logarithms.
    """
    running = np.arange(len(speeds), dtype=np.float64)
    if other_seconds == 0:
        return np.asarray(running * speeds / cpu_seconds)
    on_cpu = np.concatenate([[0.0], np.cumsum(math.log(cpu_seconds) - np.log(running[1:] * speeds[1:]))])
    off_cpu = running * math.log(other_seconds) - special.gammaln(running + 1)
    split = running[:, None] - running[None, :]  # how many of each number are off the CPU
    possible = split >= 0
    terms = np.where(possible, on_cpu[None, :] + off_cpu[np.maximum(split, 0).astype(np.int64)], -np.inf)
    constants = special.logsumexp(terms, axis=1)
    return np.concatenate([[0.0], np.exp(constants[:-1] - constants[1:])])


def at_once(workers: int, busy_cores: float) -> int:
    """Requests that run at once at most: `workers`, or as many as ever come together at this load."""
    return min(workers, 1 + math.floor(50 * busy_cores), _AT_ONCE_AT_MOST)


def _speeds(most: int, cores: float, others: Others) -> Array:
    """Mean speed of one own request while 0, 1, ... `most` of them run; 1 is a core's full speed."""
    own = np.arange(most + 1, dtype=np.float64)[:, None]
    if others.busy_cores == 0 or others.at_once == 0:
        return np.asarray(np.minimum(1.0, cores / np.maximum(own[:, 0], 1.0)))
    foreign = np.arange(others.at_once + 1, dtype=np.float64)[None, :]
    together = np.maximum(own + foreign, 1.0)
    speed = np.minimum(1.0, cores / together)
    completing = (foreign * speed)[:, 1:]
    logs = np.cumsum(math.log(others.busy_cores) - np.log(completing), axis=1)
    logs = np.concatenate([np.zeros((most + 1, 1)), logs], axis=1)
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    # others that wait for their workers: a geometric tail, or always some when they can't keep up
    last = np.minimum(others.busy_cores / completing[:, -1], 1 - 1e-9)
    weights[:, -1] /= 1 - last
    weights /= weights.sum(axis=1, keepdims=True)
    return np.asarray(
        (weights * np.minimum(1.0, cores / np.maximum(np.maximum(own, 1.0) + foreign, 1.0))).sum(axis=1)
    )
