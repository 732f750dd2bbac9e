"""The promises in a stack's annotations, put together with what the resources really ask for.

Workloads carry what their service promises and how it works; the Namespace carries the budget, the platform
and the price table. Replicas, CPU, memory and storage come from the workloads, their autoscalers and
claims, so a promise is judged against what would run and not against what someone once planned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from groundplan.errors import ModelError, SpecError
from groundplan.policy.quantities import quantity
from groundplan.policy.tree import Undecided
from groundplan.spec import (
    READ_FROM_THE_RESOURCE,
    SERVICE_ANNOTATION,
    SERVICE_NAME_ANNOTATION,
    SYSTEM_ANNOTATION,
    System,
    build_system,
    service_from_annotation,
    system_from_annotation,
)

if TYPE_CHECKING:
    from groundplan.models.plan import Evaluation
    from groundplan.policy.resources import Resource
    from groundplan.policy.stack import Scale, Stack
    from groundplan.policy.workloads import Workload

# what an autoscaler without metrics steers towards (Kubernetes API, HorizontalPodAutoscalerSpec)
_DEFAULT_CPU_TARGET = 0.8


class StatedSystem:
    """A system as annotations and resources state it.

    resource: the Namespace with the system's annotation, or the first workload where there is none.
    members: the workloads that state a promise.
    outside: Services that stand for a service run by someone else, by an annotation of their own.
    """

    def __init__(
        self,
        stack: Stack,
        namespace: Resource | None,
        members: list[Workload],
        outside: list[Resource],
    ) -> None:
        self._stack = stack
        self._namespace = namespace
        self.members = members
        self.outside = outside
        self.resource = namespace if namespace is not None else members[0].resource

    @cached_property
    def workloads(self) -> dict[str, Workload]:
        """Members by the name of their service."""
        return {member.service_name: member for member in self.members}

    def resource_of(self, service: str) -> Resource:
        """The resource that runs a service, or stands for it."""
        if service in self.workloads:
            return self.workloads[service].resource
        return next((outside for outside in self.outside if _service_name(outside) == service), self.resource)

    @property
    def nodes(self) -> int | None:
        """Number of nodes that the system runs on, None when it doesn't say. Raises Undecided."""
        try:
            return self._frame.platform.nodes
        except SpecError as error:
            raise Undecided("what the system states can't be read; see rule promise") from error

    @cached_property
    def _frame(self) -> System:
        """The system without its services."""
        if self._namespace is None:
            return System(name="system")
        where = f"{self._namespace.title}, annotation {SYSTEM_ANNOTATION}"
        text = self._namespace.metadata.node("annotations").text(SYSTEM_ANNOTATION)
        return system_from_annotation(text or "", where)

    @cached_property
    def as_stated(self) -> System:
        """The system.

        Raises SpecError when a promise can't be read, Undecided when something in it is unknown.
        """
        stated = self._frame.model_dump(exclude={"services"}, exclude_unset=True)
        services: dict[str, Any] = {}
        for name, fields, resource in self._services():
            if name in services:
                raise SpecError(
                    "two resources state a promise for the same service",
                    where=resource.title,
                    value=name,
                    fix=f"Give each service its own name in annotation {SERVICE_NAME_ANNOTATION}.",
                )
            services[name] = fields
        return build_system({**stated, "services": services}, self.resource.title)

    @property
    def system(self) -> System:
        """Like `as_stated`, but Undecided where a promise can't be read, so that one rule alone tells it."""
        try:
            return self.as_stated
        except SpecError as error:
            raise Undecided("the promises can't be read; see rule promise") from error

    @property
    def evaluation(self) -> Evaluation:
        """What the models predict, once for all rules. Raises Undecided when they can't be asked."""
        if isinstance(self._evaluated, Undecided):
            raise self._evaluated
        return self._evaluated

    @cached_property
    def _evaluated(self) -> Evaluation | Undecided:
        try:
            return load_models()(self.system)
        except Undecided as reason:
            return reason
        except ModelError as error:
            return Undecided(str(error))

    def _services(self) -> Iterator[tuple[str, dict[str, Any], Resource]]:
        for resource in self.outside:
            text = resource.metadata.node("annotations").text(SERVICE_ANNOTATION) or ""
            service = service_from_annotation(text, f"{resource.title}, annotation {SERVICE_ANNOTATION}")
            yield _service_name(resource), service.model_dump(exclude_unset=True), resource
        for member in self.members:
            promise = member.stated_promise
            if promise is not None:
                stated = promise.model_dump(exclude_unset=True, exclude=set(READ_FROM_THE_RESOURCE))
                fields = _as_it_would_run(member, self._stack)
                if member.kind == "DaemonSet" and self.nodes is not None:
                    fields["replicas"] = self.nodes  # one on each node
                yield member.service_name, {**stated, **fields}, member.resource


def load_models() -> Callable[[System], Evaluation]:
    """The models. They take a second to import, so only a stack that states promises pays for that."""
    from groundplan.models.plan import evaluate  # noqa: PLC0415

    return evaluate


def find_systems(stack: Stack) -> list[StatedSystem]:
    """The systems in a stack; none when nothing in it states a promise.

    A promise belongs to the system that its namespace states, else to the only one that the stack states,
    else to a system without budget and platform.
    """
    spaces = [space for space in stack.of_kind("Namespace") if _states(space, SYSTEM_ANNOTATION)]
    members = [
        workload for workload in stack.lasting_workloads if _states(workload.resource, SERVICE_ANNOTATION)
    ]
    outside = [service for service in stack.of_kind("Service") if _states(service, SERVICE_ANNOTATION)]
    if not spaces:
        return [StatedSystem(stack, None, members, outside)] if members else []
    if len(spaces) == 1:
        return [StatedSystem(stack, spaces[0], members, outside)]
    return [
        StatedSystem(
            stack,
            space,
            [member for member in members if _may_live_in(member.resource, space)],
            [service for service in outside if _may_live_in(service, space)],
        )
        for space in spaces
    ]


def _states(resource: Resource, annotation: str) -> bool:
    """Whether it carries the annotation; also when that can't be known, so that the doubt is met where it
    is read.
    """
    try:
        return resource.metadata.node("annotations").has(annotation)
    except Undecided:
        return True


def _may_live_in(resource: Resource, space: Resource) -> bool:
    try:
        return resource.namespace == space.name
    except Undecided:
        return True


def _service_name(resource: Resource) -> str:
    return resource.metadata.node("annotations").text(SERVICE_NAME_ANNOTATION) or resource.name


def _as_it_would_run(workload: Workload, stack: Stack) -> dict[str, Any]:
    """The fields of a service that its resources decide."""
    fields: dict[str, Any] = {}
    if workload.kind != "DaemonSet":
        scale = stack.scale_of(workload)
        fields |= _replicas(scale)
    containers = workload.running_containers()
    for name in ("cpu", "memory"):
        requests = [container.request(name) for container in containers]
        if total := _sum(requests):
            fields[name] = total
    limits = [container.limit("cpu") for container in containers]
    if total := _sum(limits):
        fields["cpu_limit"] = total
    storage = [
        quantity(claim.node("spec", "resources", "requests"), "storage")
        for claim in workload.resource.spec.nodes("volumeClaimTemplates")
    ]
    if total := _sum(storage):
        fields["storage"] = total
    return fields


def _sum(amounts: list[float | None]) -> float | None:
    """The total, None when one of the amounts isn't stated."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if len(known) == len(amounts) else None


def _replicas(scale: Scale) -> dict[str, Any]:
    if scale.autoscaler is None:
        return {"replicas": scale.fewest}
    target = _cpu_target(scale.autoscaler)
    return {
        "autoscaling": {"min": scale.fewest, "max": scale.most, "target_cpu_utilization": target},
    }


def _cpu_target(autoscaler: Resource) -> float:
    """CPU use, as a share of the request, that an autoscaler steers towards."""
    old = autoscaler.spec.whole("targetCPUUtilizationPercentage")  # autoscaling/v1
    if old is not None:
        return old / 100
    metrics = autoscaler.spec.nodes("metrics")
    for metric in metrics:
        resource = metric.node("resource")
        if metric.text("type") == "Resource" and resource.text("name") == "cpu":
            percent = resource.node("target").whole("averageUtilization")
            if percent is not None:
                return percent / 100
    if metrics:
        raise Undecided(
            f"{autoscaler.title} doesn't follow CPU utilization, the only metric that is modelled"
        )
    return _DEFAULT_CPU_TARGET
