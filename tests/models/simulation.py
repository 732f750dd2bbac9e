"""A discrete-event simulation of a whole system, to compare the models with.

It plays what the models reason about: replicas with workers and one accept queue each, dispatch to replicas,
synchronous calls that hold the caller's worker, asynchronous ones that don't, and CPUs whose cores are shared
evenly by whatever runs on them. Arrivals are Poisson; times are gamma distributed.
"""

import heapq
import itertools
import random
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from groundplan.spec import Service, System

Resume: TypeAlias = Callable[[], None]
Process: TypeAlias = Iterator[Callable[[Resume], None]]


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.events: list[tuple[float, int, Resume]] = []
        self.numbers = itertools.count()

    def at(self, time: float, action: Resume) -> None:
        heapq.heappush(self.events, (time, next(self.numbers), action))

    def run(self, until: Callable[[], bool]) -> None:
        while self.events and not until():
            self.now, _, action = heapq.heappop(self.events)
            action()


class _Cpu:
    """Cores that all jobs share evenly; no job gets more than one core, or than all there is."""

    def __init__(self, clock: _Clock, cores: float) -> None:
        self.clock, self.cores = clock, cores
        self.progress = 0.0  # work that each job has received since the start
        self.updated = 0.0
        self.jobs: list[tuple[float, int, Resume]] = []
        self.version = 0

    def work(self, seconds: float, resume: Resume) -> None:
        self._advance()
        heapq.heappush(self.jobs, (self.progress + seconds, next(self.clock.numbers), resume))
        self._plan()

    def _rate(self) -> float:
        return min(1.0, self.cores / len(self.jobs)) if self.jobs else 0.0

    def _advance(self) -> None:
        self.progress += (self.clock.now - self.updated) * self._rate()
        self.updated = self.clock.now

    def _plan(self) -> None:
        self.version += 1
        if self.jobs:
            version = self.version
            due = self.clock.now + max(self.jobs[0][0] - self.progress, 0.0) / self._rate()
            self.clock.at(due, lambda: self._finish(version))

    def _finish(self, version: int) -> None:
        if version != self.version:
            return
        self._advance()
        _, _, resume = heapq.heappop(self.jobs)
        self._plan()
        resume()


@dataclass
class _Replica:
    workers: int
    cpu: _Cpu | None
    present: int = 0
    busy: int = 0
    queue: deque[Resume] = field(default_factory=deque)

    def enter(self, resume: Resume) -> None:
        self.present += 1
        if self.busy < self.workers:
            self.busy += 1
            resume()
        else:
            self.queue.append(resume)

    def leave(self) -> None:
        self.present -= 1
        if self.queue:
            self.queue.popleft()()
        else:
            self.busy -= 1


class _Simulation:
    def __init__(self, system: System, seed: int) -> None:
        self.system = system
        self.random = random.Random(seed)  # noqa: S311  # reproducible, not secret
        self.clock = _Clock()
        self.times: dict[str, list[float]] = defaultdict(list)
        cores = system.platform.machine_cpu
        machine = _Cpu(self.clock, cores) if cores is not None else None
        self.replicas: dict[str, list[_Replica]] = {}
        for name, service in system.services.items():
            count, workers = service.replicas or 1, service.concurrency
            if service.dispatch == "pooled":
                count, workers = 1, count * workers
            self.replicas[name] = [
                _Replica(workers, _Cpu(self.clock, service.cpu_limit) if service.cpu_limit else machine)
                for _ in range(count)
            ]

    def start(self, process: Process) -> None:
        def step() -> None:
            wait = next(process, None)
            if wait is not None:
                wait(step)

        step()

    def arrivals(self, name: str, rate: float) -> None:
        def arrive() -> None:
            self.start(self.request(name))
            self.clock.at(self.clock.now + self.random.expovariate(rate), arrive)

        self.clock.at(self.random.expovariate(rate), arrive)

    def request(self, name: str) -> Process:
        service, began = self.system.services[name], self.clock.now
        replica = self._pick(service, self.replicas[name])
        yield replica.enter
        yield from self._own_time(service, replica)
        together = []
        for call in service.calls:
            if self.random.random() >= call.share:
                continue
            for _ in range(int(call.count)):
                if call.mode == "async":
                    self.start(self.request(call.to))
                elif call.mode == "parallel":
                    together.append(call.to)
                else:
                    yield from self.request(call.to)
        if together:
            yield self._all(together)
        replica.leave()
        self.times[name].append(self.clock.now - began)

    def _own_time(self, service: Service, replica: _Replica) -> Process:
        time = service.service_time
        if time is None or time.mean == 0:
            return
        scv = time.scv
        seconds = time.mean if scv == 0 else self.random.gammavariate(1 / scv, time.mean * scv)
        if replica.cpu is not None and time.cpu_share > 0:
            cpu = replica.cpu
            yield lambda resume: cpu.work(seconds * time.cpu_share, resume)
            seconds *= 1 - time.cpu_share
        if seconds > 0:
            yield lambda resume: self.clock.at(self.clock.now + seconds, resume)

    def _all(self, names: list[str]) -> Callable[[Resume], None]:
        def begin(resume: Resume) -> None:
            left = len(names)

            def watched(name: str) -> Process:
                nonlocal left
                yield from self.request(name)
                left -= 1
                if left == 0:
                    resume()

            for name in names:
                self.start(watched(name))

        return begin

    def _pick(self, service: Service, replicas: list[_Replica]) -> _Replica:
        if len(replicas) == 1:
            return replicas[0]
        if service.dispatch == "random":
            return self.random.choice(replicas)
        least = min(replica.present for replica in replicas)
        return self.random.choice([replica for replica in replicas if replica.present == least])


def simulate(system: System, requests: int, seed: int = 1) -> dict[str, NDArray[np.float64]]:
    """Response times of every service, after a warm-up of a tenth, until `requests` came from outside."""
    simulation = _Simulation(system, seed)
    entries = [name for name, service in system.services.items() if service.load]
    for name in entries:
        load = system.services[name].load
        assert load is not None
        simulation.arrivals(name, load.arrival_rate)
    simulation.clock.run(lambda: sum(len(simulation.times[name]) for name in entries) >= requests)
    return {name: np.array(times[len(times) // 10 :]) for name, times in simulation.times.items()}
