"""Which requests can run at the same time, and how the CPUs of the nodes slow them down.

A synchronous call occupies one worker in each service on its way, but only the last of them runs. So the
services form pools: a service opens a pool when it has fewer workers than requests could come at once, and
the services behind it that have enough workers run within the pool of their callers. Pools are what competes
for a CPU.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from groundplan.models.cpu import Contention, Others, at_once, contention
from groundplan.spec import Dispatch, Service, System


@dataclass(frozen=True)
class _Pool:
    """A pool per replica or for all replicas: its requests per second, work of one request, and workers."""

    name: str
    copies: int
    arrival_rate: float
    cpu_seconds: float
    other_seconds: float
    workers: int

    @property
    def busy_cores(self) -> float:
        return self.arrival_rate * self.cpu_seconds


class SharedCpu:
    """CPU contention on the nodes, the load spread evenly over them.

    utilization: busy share of the nodes' CPUs, None when their size is unknown. cores: of one node, or of the
    machine that all nodes share. of: contention of each service on the nodes; None where its pool can't keep
    up.
    """

    def __init__(
        self,
        system: System,
        rates: Mapping[str, float],
        replicas: Mapping[str, int | None],
        dispatch: Dispatch | None,
        callees_first: list[str],
    ) -> None:
        self.utilization: float | None = None
        self.cores: float | None = None
        self.of: dict[str, Contention | None] = dict.fromkeys(system.services, Contention(1.0))
        platform = system.platform
        if platform.machine_cpu is not None:
            parts, self.cores = 1, platform.machine_cpu
        elif platform.nodes is not None and platform.node_cpu is not None:
            parts, self.cores = platform.nodes, platform.node_cpu
        else:
            return
        background = platform.background_cpu + sum(
            rates[name] * service.service_time.overhead_cpu
            for name, service in system.services.items()
            if service.service_time
        )
        busy = background + sum(
            rates[name] * cpu_seconds(service) for name, service in system.services.items()
        )
        self.utilization = busy / (parts * self.cores)
        if self.utilization >= 1:
            self.of = dict.fromkeys(system.services, None)
            return
        pools = self._pools(system, rates, replicas, dispatch, callees_first)
        for name in reversed(callees_first):
            if name in pools:
                pool = pools[name]
                # a node holds a part of the replicas of a pool for all of them, or whole replicas
                share = 1 if pool.copies > 1 else min(parts, replicas[name] or 1)
                mine = pool.busy_cores / share
                theirs = _running_at_most(pools, name, background) / parts
                self.of[name] = contention(
                    arrival_rate=pool.arrival_rate / share,
                    cpu_seconds=pool.cpu_seconds,
                    other_seconds=pool.other_seconds,
                    workers=max(1, round(pool.workers / share)),
                    cores=self.cores,
                    others=Others(max(busy / parts - mine, 0.0), max(1, round(theirs))),
                )
            else:
                self.of[name] = self._of_callers(system, rates, name)

    def _of_callers(self, system: System, rates: Mapping[str, float], name: str) -> Contention:
        """Mean of the callers' stretch, for a service that runs within their pools."""
        weights = stretched = 0.0
        for caller, service in system.services.items():
            above = self.of[caller]
            calls = sum(call.count * call.share for call in service.calls if call.to == name and call.waits)
            if above is not None and calls > 0:
                weights += rates[caller] * calls
                stretched += rates[caller] * calls * above.stretch
        return Contention(stretched / weights if weights > 0 else 1.0)

    def _pools(
        self,
        system: System,
        rates: Mapping[str, float],
        replicas: Mapping[str, int | None],
        dispatch: Dispatch | None,
        callees_first: list[str],
    ) -> dict[str, _Pool]:
        opens = _openers(system, rates, replicas, callees_first)
        work: dict[str, tuple[float, float]] = {}
        pools: dict[str, _Pool] = {}
        for name in callees_first:
            service = system.services[name]
            own = service.service_time.mean if service.service_time else 0.0
            cpu, other = cpu_seconds(service), own - cpu_seconds(service)
            for call in service.calls:
                if call.waits:
                    below_cpu, below_other = work[call.to]
                    calls = call.count * call.share
                    if call.to in opens:  # its work runs in its own pool and only holds this worker
                        other += calls * (below_cpu + below_other)
                    else:
                        cpu += calls * below_cpu
                        other += calls * below_other
            work[name] = cpu, other
            count = replicas[name] or 0
            if name in opens and cpu > 0 and count > 0:
                split = count > 1 and (dispatch or service.dispatch) == "random"
                copies = count if split else 1
                workers = service.concurrency * count // copies
                pools[name] = _Pool(name, copies, rates[name] / copies, cpu, other, workers)
        return pools


def cpu_seconds(service: Service) -> float:
    """CPU time of one request at full speed, without its calls; 0 for external services and unknown times."""
    if service.kind == "external" or service.service_time is None:
        return 0.0
    return service.service_time.mean * service.service_time.cpu_share


def _running_at_most(pools: Mapping[str, _Pool], name: str, background: float) -> float:
    """Requests of other pools and replicas that run at once at most, small pools counted by their weight.

    The others are treated as one; a pool with little work must not lend its many workers to the rest.
    """
    others = [
        (pool.busy_cores, at_once(pool.workers, pool.busy_cores))
        for pool in pools.values()
        for _ in range(pool.copies - (pool.name == name))
    ]
    others.append((background, at_once(10**6, background)))
    heaviest = max(cores for cores, _ in others)
    return sum(most * cores / heaviest for cores, most in others) if heaviest > 0 else 0.0


def _openers(
    system: System, rates: Mapping[str, float], replicas: Mapping[str, int | None], callees_first: list[str]
) -> set[str]:
    """Services with fewer workers than requests could reach them at once."""
    incoming = dict.fromkeys(system.services, 0.0)
    for name, service in system.services.items():
        if service.load is not None or not rates[name]:
            incoming[name] = math.inf
        for call in service.calls:
            if not call.waits:
                incoming[call.to] = math.inf
    opens = set()
    for name in reversed(callees_first):
        service = system.services[name]
        workers = service.concurrency * (replicas[name] or 0)
        if service.kind != "external" and workers > 0 and workers < incoming[name]:
            opens.add(name)
        within = min(workers, incoming[name]) if workers else incoming[name]
        for call in service.calls:
            if call.waits:
                incoming[call.to] += within * (call.count if call.mode == "parallel" else 1)
    return opens
