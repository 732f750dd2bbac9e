"""Closed networks and scalability: exact mean value analysis, and the Universal Scalability Law."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from groundplan.errors import ModelError
from groundplan.models import checks


@dataclass(frozen=True)
class ClosedNetwork:
    """A closed network in balance.

    throughput: cycles per second. residence_times: seconds per visit at each station. queue_lengths: mean
    number at each station.
    """

    throughput: float
    residence_times: tuple[float, ...]
    queue_lengths: tuple[float, ...]


def mean_value_analysis(
    service_times: Sequence[float], visits: Sequence[float], customers: int, think_time: float = 0.0
) -> ClosedNetwork:
    """Exact MVA of single-server stations (Reiser and Lavenberg 1980).

    service_times: seconds per visit at each station; visits: in one cycle; think_time: seconds between
    cycles.
    """
    checks.whole("customers", customers)
    checks.finite("think_time", think_time, least=0.0)
    if len(service_times) != len(visits):
        raise ModelError("there must be as many visits as service times", value=len(visits))
    for time, count in zip(service_times, visits, strict=True):
        checks.finite("service_time", time, least=0.0)
        checks.finite("visits", count, least=0.0)
    queues = [0.0] * len(visits)
    residence: list[float] = []
    throughput = 0.0
    for present in range(1, customers + 1):
        residence = [time * (1 + queue) for time, queue in zip(service_times, queues, strict=True)]
        cycle = sum(count * time for count, time in zip(visits, residence, strict=True)) + think_time
        if cycle == 0:
            raise ModelError("a cycle takes no time", value=0, bound="some time at a station or thinking")
        throughput = present / cycle
        queues = [throughput * count * time for count, time in zip(visits, residence, strict=True)]
    return ClosedNetwork(throughput, tuple(residence), tuple(queues))


@dataclass(frozen=True)
class Scalability:
    """Universal Scalability Law (Gunther 2007): throughput of N workers that contend and keep coherent.

    throughput_of_one: of one worker. contention (sigma): share of work that only one can do at a time.
    coherency (kappa): cost of agreeing with each other worker.
    """

    throughput_of_one: float
    contention: float
    coherency: float

    def __post_init__(self) -> None:
        checks.finite("throughput_of_one", self.throughput_of_one, above=0.0)
        checks.probability("contention", self.contention)
        checks.finite("coherency", self.coherency, least=0.0)

    def throughput(self, workers: int) -> float:
        """Throughput with this many workers."""
        checks.whole("workers", workers)
        others = workers - 1
        return (
            self.throughput_of_one
            * workers
            / (1 + self.contention * others + self.coherency * workers * others)
        )

    @property
    def peak(self) -> float | None:
        """Where the throughput is highest, between whole numbers; None when it never falls."""
        return math.sqrt((1 - self.contention) / self.coherency) if self.coherency > 0 else None

    @property
    def best_workers(self) -> int | None:
        """Number of workers with the highest throughput; None when it never falls."""
        if self.peak is None:
            return None
        below = max(math.floor(self.peak), 1)
        return max((below, below + 1), key=self.throughput)
