"""Availability of every service and of every path, from the nodes and zones up.

Replicas share nodes and zones, so their failures aren't independent, and neither are those of different
services. All states of nodes and zones with up to three failures at once are enumerated; given a state, pods
fail independently but for the common causes of their service. States with more failures count as down, so a
result is a lower bound, too low by less than the probability of those states (exact for up to three nodes and
zones together). See docs/models.md for all assumptions.
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from groundplan.models import availability as formulas
from groundplan.models.performance import PerformancePrediction
from groundplan.models.performance import predict as predict_performance
from groundplan.models.tables import FailureTable, failure_table
from groundplan.spec import Failure, System

_STATES_AT_MOST = 20_000


@dataclass(frozen=True)
class SinglePointOfFailure:
    """One thing whose loss alone breaks a path. breaks: the services that it takes below what they need."""

    kind: Literal["service", "node", "zone"]
    name: str
    breaks: tuple[str, ...]


@dataclass(frozen=True)
class ServiceReliability:
    """Availability of one service, 0 to 1; None when something is unknown, and then `unknown` names it.

    availability: of the service alone. path_availability: of the service with all that it synchronously
    requires. needed: replicas that the load needs, of `replicas`. path: the services of the path, itself
    first.
    """

    name: str
    replicas: int | None
    needed: int
    path: tuple[str, ...]
    availability: float | None = None
    path_availability: float | None = None
    single_points_of_failure: tuple[SinglePointOfFailure, ...] = ()
    unknown: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReliabilityPrediction:
    """All services by name."""

    services: Mapping[str, ServiceReliability]


def predict(system: System, performance: PerformancePrediction | None = None) -> ReliabilityPrediction:
    """Availability of a system's services and paths.

    performance: the prediction at the same load, if it has been made already; it says how many replicas the
    load needs.
    """
    performance = performance or predict_performance(system)
    data = failure_table()
    names = [name for name, service in system.services.items() if service.kind != "external"]
    counts = {name: performance.services[name].replicas for name in system.services}
    needed = {name: _needed(performance, name) for name in system.services}
    unknown = {name: _unknown(system, name, counts[name]) for name in system.services}
    fixed = {name: _external_availability(system, name) for name in system.services if name not in names}

    placed = [name for name in names if not unknown[name]]
    up_given_state = np.ones((1, len(placed)))
    weights = np.ones(1)
    if placed:
        cluster = _Cluster(system, data, [(name, counts[name] or 0) for name in placed])
        weights, pods = cluster.pods_in_each_state()
        tables = [_up_by_pods(system, data, name, counts[name] or 0, needed[name]) for name in placed]
        up_given_state = np.stack([table[pods[:, i]] for i, table in enumerate(tables)], axis=1)
    column = {name: index for index, name in enumerate(placed)}

    services = {}
    for name in system.services:
        path = _required(system, name)
        missing = sorted({field for member in path for field in unknown[member]})
        own = fixed.get(name) if name not in column else float(weights @ up_given_state[:, column[name]])
        whole = None
        if not missing:
            inside = np.prod(up_given_state[:, [column[m] for m in path if m in column]], axis=1)
            outside = math.prod(fixed[m] or 0.0 for m in path if m not in column)
            whole = float(weights @ inside) * outside
        weak = _single_points(cluster, path, needed, counts) if placed and not missing else ()
        services[name] = ServiceReliability(
            name=name,
            replicas=counts[name],
            needed=needed[name],
            path=path,
            availability=own,
            path_availability=whole,
            single_points_of_failure=weak,
            unknown=tuple(missing),
            assumptions=_assumptions(performance, name),
        )
    return ReliabilityPrediction(services)


def _assumptions(performance: PerformancePrediction, name: str) -> tuple[str, ...]:
    notes = [
        "replicas are spread evenly over zones and nodes, and the remaining nodes have room for moved pods"
    ]
    if performance.services[name].utilization is None:
        notes.append("one replica is taken to be enough, because its load or service time is unknown")
    return tuple(notes)


def _needed(performance: PerformancePrediction, name: str) -> int:
    """Fewest replicas that keep up with the load, at least one."""
    item = performance.services[name]
    if item.utilization is None or not item.replicas:
        return 1
    return math.floor(item.utilization * item.replicas) + 1


def _unknown(system: System, name: str, count: int | None) -> list[str]:
    service = system.services[name]
    if service.kind == "external":
        failure = service.failure
        stated = failure is not None and failure.mtbf is not None and failure.mttr is not None
        return [] if stated else [f"services.{name}.failure"]
    missing = []
    if count is None:
        missing.append(f"services.{name}.replicas")
    if system.platform.nodes is None:
        missing.append("platform.nodes")
    return missing


def _external_availability(system: System, name: str) -> float | None:
    failure = system.services[name].failure
    if failure is None or failure.mtbf is None or failure.mttr is None:
        return None
    return formulas.steady_state(failure.mtbf, failure.mttr)


def _required(system: System, name: str) -> tuple[str, ...]:
    """The service and all that it needs to answer a request."""
    path = [name]
    for member in path:
        for call in system.services[member].calls:
            if call.waits and call.required and call.share > 0 and call.to not in path:
                path.append(call.to)
    return tuple(path)


def _up_by_pods(
    system: System, data: FailureTable, name: str, replicas: int, needed: int
) -> NDArray[np.float64]:
    """Probability that a service is up when 0, 1, ... `replicas` of its pods have a working node."""
    stated = system.services[name].failure or Failure()
    mtbf = data.pod_mtbf_seconds.value if stated.mtbf is None else stated.mtbf
    mttr = data.pod_mttr_seconds.value if stated.mttr is None else stated.mttr
    beta = data.pod_beta.value if stated.beta is None else stated.beta
    # a share beta of the failures hits all replicas and takes a person to repair
    alone = formulas.steady_state(mtbf / (1 - beta), mttr) if beta < 1 else 1.0
    together = formulas.steady_state(mtbf / beta, data.common_cause_mttr_seconds.value) if beta > 0 else 1.0
    return together * formulas.at_least(needed, np.arange(replicas + 1), alone)


@dataclass(frozen=True)
class _Part:
    """A node or a zone: probability of being down so recently that no pod has moved, and for longer."""

    kind: Literal["node", "zone"]
    name: str
    nodes: tuple[int, ...]
    recent: float
    longer: float


class _Cluster:
    """Nodes and zones, and where the pods of each service are."""

    def __init__(self, system: System, data: FailureTable, services: list[tuple[str, int]]) -> None:
        platform = system.platform
        self.node_count = platform.nodes or 1
        zones = platform.zones or 1
        given = (platform.node_detection, platform.node_toleration, platform.pod_start)
        usual = (data.node_detection_seconds, data.node_toleration_seconds, data.pod_start_seconds)
        moving = sum(figure.value if own is None else own for own, figure in zip(given, usual, strict=True))
        node = _phases(
            platform.node_failure, data.node_mtbf_seconds.value, data.node_mttr_seconds.value, moving
        )
        zone = _phases(
            platform.zone_failure, data.zone_mtbf_seconds.value, data.zone_mttr_seconds.value, moving
        )
        self.parts = [_Part("node", f"node {i + 1}", (i,), *node) for i in range(self.node_count)]
        self.parts += [
            _Part("zone", f"zone {z + 1}", tuple(range(z, self.node_count, zones)), *zone)
            for z in range(zones)
        ]
        self.names = [name for name, _ in services]
        self.pinned = np.array([system.services[name].storage is not None for name in self.names])
        # consecutive nodes lie in different zones, so dealing pods out in turn spreads them over both
        self.placement = np.zeros((self.node_count, len(services)), dtype=np.int64)
        turn = 0
        for index, (_, count) in enumerate(services):
            every, rest = divmod(count, self.node_count)
            self.placement[:, index] += every
            for _ in range(rest):
                self.placement[turn % self.node_count, index] += 1
                turn += 1
        self.totals = self.placement.sum(axis=0)

    def pods_in_each_state(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Probability of each state of the parts, and the pods of each service that have a working node."""
        weights, recent, longer = [], [], []
        for failed in self._failures():
            probability = 1.0
            gone, moved = np.zeros(self.node_count, bool), np.zeros(self.node_count, bool)
            for part, phase in zip(self.parts, failed, strict=True):
                if phase == 0:
                    probability *= 1 - part.recent - part.longer
                elif phase == 1:
                    probability *= part.recent
                    gone[list(part.nodes)] = True
                else:
                    probability *= part.longer
                    moved[list(part.nodes)] = True
            weights.append(probability)
            recent.append(gone & ~moved)
            longer.append(moved)
        return np.array(weights), self.pods(np.array(recent), np.array(longer))

    def pods(self, recent: NDArray[np.bool_], longer: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Pods of each service with a working node, for states given as rows over the nodes.

        Pods of a node that has been down for longer have moved to another one, if there is one that works,
        except those with storage, which wait for their node.
        """
        down = recent | longer
        staying = ~down @ self.placement
        somewhere = (~down).any(axis=1, keepdims=True)
        moved = np.where(somewhere, longer @ self.placement, 0)
        return np.asarray(staying + np.where(self.pinned, 0, moved), dtype=np.int64)

    def _failures(self) -> Iterator[tuple[int, ...]]:
        size = len(self.parts)
        depth = next(d for d in (3, 2, 1) if d == 1 or math.comb(size, d) * 2**d <= _STATES_AT_MOST)
        for failures in range(min(depth, size) + 1):
            for which in itertools.combinations(range(size), failures):
                for phases in itertools.product((1, 2), repeat=failures):
                    state = [0] * size
                    for index, phase in zip(which, phases, strict=True):
                        state[index] = phase
                    yield tuple(state)


def _phases(stated: Failure | None, mtbf: float, mttr: float, moving: float) -> tuple[float, float]:
    """Probability of being down for less than `moving`, and for longer, with exponential repair times."""
    if stated is not None:
        mtbf = mtbf if stated.mtbf is None else stated.mtbf
        mttr = mttr if stated.mttr is None else stated.mttr
    if mttr == 0:
        return 0.0, 0.0
    early = mttr * -math.expm1(-moving / mttr)
    return early / (mtbf + mttr), (mttr - early) / (mtbf + mttr)


def _single_points(
    cluster: _Cluster, path: tuple[str, ...], needed: Mapping[str, int], counts: Mapping[str, int | None]
) -> tuple[SinglePointOfFailure, ...]:
    inside = [name for name in path if name in cluster.names]
    found = [
        SinglePointOfFailure("service", name, (name,))
        for name in inside
        if (counts[name] or 0) - 1 < needed[name]
    ]
    found += [SinglePointOfFailure("service", name, (name,)) for name in path if name not in cluster.names]
    for part in cluster.parts:
        gone = np.zeros((1, cluster.node_count), bool)
        gone[0, list(part.nodes)] = True
        left = cluster.pods(gone, np.zeros_like(gone))[0]
        broken = tuple(name for name in inside if left[cluster.names.index(name)] < needed[name])
        if broken:
            found.append(SinglePointOfFailure(part.kind, part.name, broken))
    return tuple(found)
