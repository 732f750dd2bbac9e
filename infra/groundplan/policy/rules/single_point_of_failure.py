"""Rule single-point-of-failure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from groundplan.policy.promises import StatedSystem
from groundplan.policy.registry import Context, Rule, Subject
from groundplan.policy.verdicts import Judgement, Severity, fails, holds, undecided

if TYPE_CHECKING:
    from groundplan.models.reliability import ServiceReliability
    from groundplan.policy.resources import Resource

# these hold state: a second replica needs replication, so they may stay single where the SLO allows it
_STATEFUL = frozenset({"database", "cache", "broker", "external"})


def check(stated: StatedSystem, _context: Context) -> Iterator[Judgement]:
    """Whatever breaks a path with an availability SLO by its loss alone."""
    for name, service in stated.system.services.items():
        promised = service.slo.availability if service.slo is not None else None
        if promised is not None:
            yield from _path(stated, name, promised)


def _path(stated: StatedSystem, name: str, promised: float) -> Iterator[Judgement]:
    services = stated.evaluation.reliability.services
    path = services[name]
    if path.path_availability is None:
        reason = f"the path of {name} can't be predicted, unknown: {', '.join(path.unknown)}"
        yield undecided(reason, stated.resource_of(name))
        return
    on_path = f"on the path of {name}, which promises availability {promised:g}"
    suffices = path.path_availability >= promised
    single = [point.name for point in path.single_points_of_failure if point.kind == "service"]
    overloaded = any(services[member].needed > (services[member].replicas or 0) for member in single)
    for member in single:
        stateful = stated.system.services[member].kind in _STATEFUL
        about = stated.resource_of(member)
        what = f"is a single point of failure {on_path}"
        if stateful and suffices:
            yield holds(f"{what}, and is predicted to fail rarely enough", about)
        elif stateful and not overloaded:
            fix = "Replicate its data to a second replica, make the calls to it optional, or promise less."
            yield fails(what, about=about, fix=fix)
        elif not stateful:
            yield from _stateless(services[member], what, about)
    if not overloaded:
        yield from _places(stated, path, on_path, suffices)


def _stateless(member: ServiceReliability, what: str, about: Resource) -> Iterator[Judgement]:
    count = member.replicas or 0
    if count <= 1:
        yield fails(what, field="replicas", value=count, bound="at least 2", about=about)
    elif member.needed <= count:
        yield fails(
            f"{what}: its load needs all of its replicas, so the loss of one overloads the rest",
            required=False,
            field="replicas",
            value=count,
            bound=f"at least {member.needed + 1}",
            fix="Add a replica.",
            about=about,
        )


def _places(
    stated: StatedSystem, path: ServiceReliability, on_path: str, suffices: bool
) -> Iterator[Judgement]:
    """Nodes and zones that take down a service although it has replicas to spare."""
    single = {point.name for point in path.single_points_of_failure if point.kind == "service"}
    for point in path.single_points_of_failure:
        broken = [name for name in point.breaks if name not in single]
        if point.kind == "service" or not broken:
            continue
        what = f"{point.name} is a single point of failure {on_path}: with it goes {', '.join(broken)}"
        if suffices:
            yield holds(f"{what}; it is predicted to fail rarely enough", stated.resource)
        else:
            yield fails(what, about=stated.resource, fix="Spread the system over more nodes or zones.")


RULE = Rule(
    name="single-point-of-failure",
    title="No path that promises availability hangs on a single part",
    severity=Severity.HIGH,
    subject=Subject.SYSTEM,
    why=(
        "A request needs every service that is waited for on its way. One of them without a second "
        "replica makes each of its rollouts and crashes an outage of the whole path, whatever the others "
        "do. Databases, caches and brokers may stay single as long as the predicted availability of the "
        "path still reaches its SLO."
    ),
    fix="Give it a second replica, or take it off the path with an asynchronous or optional call.",
    link="https://sre.google/sre-book/addressing-cascading-failures/",
    check=check,
)
