"""Response times, utilization and stability of every service, from the leaves of the call graph up.

Layered queueing (Rolia and Sevcik, The method of layers, 1995, reduced to one pass because synchronous calls
have no circle): a synchronous call holds the caller's worker until the answer is there, so a service's
holding time is its own time plus the response times of what it waits for. See docs/models.md for all
assumptions.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from groundplan.errors import ModelError
from groundplan.models.cpu import Contention, contention
from groundplan.models.dispatch import wait
from groundplan.models.distribution import Distribution, gamma, longest
from groundplan.models.pools import SharedCpu, cpu_seconds
from groundplan.spec import Dispatch, Service, System

Confidence = Literal["normal", "low"]

LOW_CONFIDENCE_ABOVE = 0.85
"""Utilization above which a small error in the load changes the answer a lot."""


@dataclass(frozen=True)
class Times:
    """Response time in seconds, waiting and awaited calls included."""

    mean: float
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True)
class ServicePerformance:
    """What one service does at the given load.

    arrival_rate: requests per second that reach it, from outside and from callers. throughput: those that it
    can serve, at most its capacity. capacity: requests per second at which its own workers are all busy.
    replicas: the count that was used. utilization: busy share of its workers or of its CPU limit, the
    greater; above 1 when overloaded. stable: whether it and all that it waits for keep up; None when
    something is unknown. times: None when it isn't stable or something is unknown, and then `reason` says
    why. lower, upper: the times if requests were handed to replicas by one queue for all, or blindly,
    everywhere.
    """

    name: str
    arrival_rate: float
    replicas: int | None
    throughput: float | None = None
    capacity: float | None = None
    utilization: float | None = None
    stable: bool | None = None
    times: Times | None = None
    lower: Times | None = None
    upper: Times | None = None
    confidence: Confidence = "normal"
    reason: str | None = None
    unknown: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()

    @property
    def mean(self) -> float | None:
        """Mean response time, seconds."""
        return self.times.mean if self.times else None

    @property
    def p50(self) -> float | None:
        """Response time that half of the requests stay within, seconds."""
        return self.times.p50 if self.times else None

    @property
    def p95(self) -> float | None:
        """Response time that 95 % of the requests stay within, seconds."""
        return self.times.p95 if self.times else None

    @property
    def p99(self) -> float | None:
        """Response time that 99 % of the requests stay within, seconds."""
        return self.times.p99 if self.times else None


@dataclass(frozen=True)
class PerformancePrediction:
    """All services by name, and the CPU use of the nodes below them (None when their size is unknown)."""

    services: Mapping[str, ServicePerformance]
    cpu_utilization: float | None

    @property
    def bottleneck(self) -> str | None:
        """Name of the service with the highest utilization."""
        known = [item for item in self.services.values() if item.utilization is not None]
        return max(known, key=lambda item: item.utilization or 0.0).name if known else None


def predict(system: System, external_rates: Mapping[str, float] | None = None) -> PerformancePrediction:
    """Performance of a system at its expected load.

    external_rates: requests per second from outside, by service, instead of those that the spec states.
    Raises ModelError when requests multiply without end along a circle of asynchronous calls.
    """
    rates = arrival_rates(system, external_rates)
    stated = _Solution(system, rates)
    best = stated if stated.uses_only("pooled") else _Solution(system, rates, "pooled")
    worst = stated if stated.uses_only("random") else _Solution(system, rates, "random")
    services = {}
    for name in system.services:
        node = stated.nodes[name]
        times = _times(node.response)
        services[name] = ServicePerformance(
            name=name,
            arrival_rate=rates[name],
            replicas=node.replicas,
            throughput=None if node.capacity is None else min(rates[name], node.capacity),
            capacity=None if node.capacity is None or math.isinf(node.capacity) else node.capacity,
            utilization=node.utilization,
            stable=None if node.unknown else node.response is not None,
            times=times,
            lower=_times_again(best.nodes[name].response, node.response, times),
            upper=_times_again(worst.nodes[name].response, node.response, times),
            confidence="low" if node.busiest > LOW_CONFIDENCE_ABOVE else "normal",
            reason=node.reason,
            unknown=tuple(sorted(node.unknown)),
            assumptions=tuple(node.assumptions),
        )
    return PerformancePrediction(services, stated.cpu.utilization)


def keeps_up(system: System, service: str, arrival_rate: float) -> bool | None:
    """Whether a service is stable when it receives this many requests per second; None when unknown.

    What exceeds the spec's load arrives from outside at the service itself.
    """
    rates = _external_rates(system)
    reached = arrival_rates(system, rates)[service]
    rates[service] += max(arrival_rate - reached, 0.0)
    node = _Solution(system, arrival_rates(system, rates)).nodes[service]
    return None if node.unknown else node.response is not None


def greatest_throughput(system: System, service: str) -> float | None:
    """Requests per second up to which a service is stable, within 0.1 %; None if unknown or unlimited."""
    low = arrival_rates(system, None)[service]
    if keeps_up(system, service, low) is None:
        return None
    if not keeps_up(system, service, low):
        return 0.0
    high = max(2 * low, 1.0)
    while keeps_up(system, service, high):
        low, high = high, high * 4
        if high > 1e9:
            return None
    while high - low > 1e-3 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if keeps_up(system, service, middle) else (low, middle)
    return low


def replicas_at_load(service: Service, arrival_rate: float) -> int | None:
    """Replicas at this load: the stated count, or what a horizontal autoscaler settles on; None when unknown.

    The autoscaler's rule is ceil(replicas · use / target), so the load's CPU use divided by the target share
    of one replica's request, within min and max (kubernetes.io, Horizontal Pod Autoscaling, algorithm
    details).
    """
    scaling = service.autoscaling
    if scaling is None:
        return service.replicas
    if service.cpu is None or service.service_time is None:
        return None
    busy_cores = arrival_rate * service.service_time.mean * service.service_time.cpu_share
    wanted = math.ceil(busy_cores / (service.cpu * scaling.target_cpu_utilization) - 1e-9)
    return min(max(wanted, scaling.min), scaling.max)


def _times(response: Distribution | None) -> Times | None:
    if response is None:
        return None
    p50, p95, p99 = response.percentiles((0.5, 0.95, 0.99))
    return Times(response.mean, p50, p95, p99)


def _times_again(
    response: Distribution | None, known: Distribution | None, times: Times | None
) -> Times | None:
    """The times of `response`, which are `times` when it is the same as `known`."""
    if response and known and (response.mean, response.variance) == (known.mean, known.variance):
        return times
    return _times(response)


def _external_rates(system: System) -> dict[str, float]:
    return {
        name: service.load.arrival_rate if service.load else 0.0 for name, service in system.services.items()
    }


def arrival_rates(system: System, external: Mapping[str, float] | None = None) -> dict[str, float]:
    """Requests per second that reach each service, from outside and along all calls."""
    given = _external_rates(system) if external is None else external
    names = list(system.services)
    position = {name: index for index, name in enumerate(names)}
    flow = np.zeros((len(names), len(names)))
    for name, service in system.services.items():
        for call in service.calls:
            flow[position[call.to], position[name]] += call.count * call.share
    outside = np.array([given.get(name, 0.0) for name in names])
    if names and np.max(np.abs(np.linalg.eigvals(flow))) >= 1:
        circle = ", ".join(name for name in names if flow[position[name]].any())
        raise ModelError(
            "requests multiply without end along a circle of calls",
            where=circle,
            bound="fewer than one request for each one on the way round",
            fix="Lower count or share of a call in the circle.",
        )
    rates = np.linalg.solve(np.eye(len(names)) - flow, outside) if names else outside
    return {name: max(float(rate), 0.0) for name, rate in zip(names, rates, strict=True)}


@dataclass
class _Node:
    replicas: int | None = None
    response: Distribution | None = None
    capacity: float | None = None
    utilization: float | None = None
    busiest: float = 0.0  # highest utilization of it and of all that it waits for
    reason: str | None = None
    unknown: set[str] = field(default_factory=set)
    assumptions: list[str] = field(default_factory=list)


class _Solution:
    """One pass over the call graph, with one dispatch discipline for all services or each with its own."""

    def __init__(self, system: System, rates: Mapping[str, float], dispatch: Dispatch | None = None) -> None:
        self.system = system
        self.rates = rates
        self.dispatch = dispatch
        self.nodes: dict[str, _Node] = {}
        self.replicas = {
            name: replicas_at_load(service, rates[name]) for name, service in system.services.items()
        }
        order = _callees_first(system)
        self.cpu = SharedCpu(system, rates, self.replicas, dispatch, order)
        for name in order:
            self.nodes[name] = self._solve(name, system.services[name])

    def uses_only(self, dispatch: Dispatch) -> bool:
        """Whether every service with several replicas has this discipline."""
        return all(
            service.dispatch == dispatch
            for name, service in self.system.services.items()
            if (self.replicas[name] or 1) > 1
        )

    def _solve(self, name: str, service: Service) -> _Node:
        node = _Node(replicas=self.replicas[name])
        awaited = [call for call in service.calls if call.waits and call.share > 0]
        for call in awaited:
            below = self.nodes[call.to]
            node.unknown |= below.unknown
            node.busiest = max(node.busiest, below.busiest)
        time = service.service_time
        if time is None:
            node.unknown.add(f"services.{name}.service_time")
        if service.kind != "external" and node.replicas is None:
            missing = "replicas" if service.autoscaling is None else "cpu"
            if service.autoscaling is None or service.cpu is None:
                node.unknown.add(f"services.{name}.{missing}")
        if node.unknown or time is None:
            node.reason = f"unknown: {', '.join(sorted(node.unknown))}"
            return node
        if service.kind == "external":
            node.response = gamma(time.mean, time.scv)
            node.capacity = math.inf
            node.assumptions.append("an external service answers at the stated time whatever the load")
            return node
        assert node.replicas is not None  # else it is in `unknown`
        return self._solve_known(name, service, node, node.replicas)

    def _solve_known(self, name: str, service: Service, node: _Node, replicas: int) -> _Node:
        rate = self.rates[name]
        if replicas == 0:
            node.capacity, node.reason = 0.0, f"{name} has no replicas"
            return node
        shared = self._contention(name, service, node, replicas)
        if shared is None:
            return node
        for call in service.calls:
            if call.waits and call.share > 0 and self.nodes[call.to].response is None:
                node.reason = f"{name} waits for {call.to}: {self.nodes[call.to].reason}"
                return node
        awaited = self._awaited(service)
        own = _own_time(service, shared)
        holding = own.after(awaited)
        workers = service.concurrency * replicas
        if holding.mean > 0:
            node.capacity = min(node.capacity or math.inf, workers / holding.mean)
        busy = rate * holding.mean / workers
        node.utilization = max(busy, node.utilization or 0.0)
        node.busiest = max(node.busiest, node.utilization, self.cpu.utilization or 0.0)
        if busy >= 1:
            node.reason = (
                f"{name} is overloaded: {rate:.4g} requests/s hold a worker for {holding.mean:.4g} s each, "
                f"which needs more than its {workers} workers"
            )
            return node
        dispatch = self.dispatch or service.dispatch
        # sharing a CPU makes times vary more, but not the waiting: the flow-equivalent chain has that already
        time_scv = service.service_time.scv if service.service_time else 0.0
        steady = time_scv * own.mean**2 + awaited.variance
        scv = steady / holding.mean**2 if holding.mean > 0 else 1.0
        queue = wait(
            arrival_rate=rate,
            service_time=holding.mean,
            scv=scv,
            servers=service.concurrency,
            replicas=replicas,
            dispatch=dispatch,
            contention=shared,
        )
        node.response = holding.after(queue.distribution)
        if replicas > 1:
            node.assumptions.append(f"requests reach the {replicas} replicas by {dispatch}")
        return node

    def _contention(self, name: str, service: Service, node: _Node, replicas: int) -> Contention | None:
        """How CPU that is shared or limited slows the service; None, with a reason, when it can't keep up."""
        work, rate = cpu_seconds(service), self.rates[name]
        if work == 0:
            return Contention(1.0)
        shared = self.cpu.of[name]
        if self.cpu.cores is None:
            node.assumptions.append("the nodes' CPU is never short, because their number or size is unknown")
        else:
            node.assumptions.append("pods are spread evenly over the nodes and share their CPUs fairly")
        if shared is None:
            node.utilization = self.cpu.utilization
            node.reason = (
                f"{name} is overloaded: at {rate:.4g} requests/s its "
                f"{service.concurrency * replicas} workers get too little of the nodes' CPU, "
                f"which the whole load keeps {self.cpu.utilization:.0%} busy"
            )
            return None
        if service.cpu_limit is None:
            return shared
        busy = rate * work / replicas
        node.utilization = busy / service.cpu_limit
        node.capacity = replicas * service.cpu_limit / work
        node.assumptions.append(f"the CPU limit of {service.cpu_limit:g} cores throttles evenly")
        limited = contention(
            arrival_rate=rate / replicas,
            cpu_seconds=work,
            other_seconds=self._awaited_at_least(service) + _time_off_cpu(service),
            workers=service.concurrency,
            cores=service.cpu_limit,
        )
        if limited is None:
            node.reason = (
                f"{name} is overloaded: {rate:.4g} requests/s need {busy:.3g} cores of each replica, "
                f"its limit is {service.cpu_limit:g}"
            )
            return None
        return max(shared, limited, key=lambda item: item.stretch)

    def _awaited_at_least(self, service: Service) -> float:
        """Mean time that one request waits for sequential calls that are stable."""
        answers = (
            (call, self.nodes[call.to].response) for call in service.calls if call.mode == "sequential"
        )
        return sum(call.count * call.share * answer.mean for call, answer in answers if answer is not None)

    def _awaited(self, service: Service) -> Distribution:
        """Time that one request waits for its calls."""
        total = gamma(0.0, 0.0)
        parallel = []
        for call in service.calls:
            if not call.waits or call.share == 0:
                continue
            below = self.nodes[call.to].response
            assert below is not None  # the caller has ruled that out
            if call.mode == "parallel":
                parallel.append((below, call.count, call.share))
            else:
                total = total.after(below.repeated(call.count, call.share))
        return total.after(longest(parallel)) if parallel else total


def _time_off_cpu(service: Service) -> float:
    return service.service_time.mean - cpu_seconds(service) if service.service_time else 0.0


def _own_time(service: Service, shared: Contention) -> Distribution:
    """The service's own time when its CPU work is stretched."""
    time = service.service_time
    if time is None:
        return gamma(0.0, 0.0)
    # a request that needs more CPU is taken to wait longer for disks, too, so both parts vary together
    on_cpu = cpu_seconds(service) * shared.stretch
    mean = on_cpu + _time_off_cpu(service)
    if mean == 0:
        return gamma(0.0, 0.0)
    return gamma(mean, time.scv + (shared.scv_of_work(time.scv) - time.scv) * (on_cpu / mean) ** 2)


def _callees_first(system: System) -> list[str]:
    """Names such that each service comes after those that it waits for."""
    order: list[str] = []
    done: set[str] = set()
    for start in system.services:
        stack = [(start, False)]
        while stack:
            name, expanded = stack.pop()
            if expanded:
                order.append(name)
            elif name not in done:
                done.add(name)
                stack.append((name, True))
                stack.extend((call.to, False) for call in system.services[name].calls if call.waits)
    return order
