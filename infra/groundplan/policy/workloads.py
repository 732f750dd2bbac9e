"""Workloads: every resource that makes pods, read the same way whatever its kind."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from groundplan.errors import SpecError
from groundplan.policy.quantities import quantity
from groundplan.policy.resources import Resource
from groundplan.policy.tree import Node, Undecided
from groundplan.spec import SERVICE_ANNOTATION, SERVICE_NAME_ANNOTATION, Service, service_from_annotation

# path from the resource to the object that holds the pod's metadata and spec
_TEMPLATE: dict[str, tuple[str, ...]] = {
    "Pod": (),
    "Deployment": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "ReplicationController": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
WORKLOAD_KINDS = frozenset(_TEMPLATE)
REPLICATED_KINDS = frozenset({"Deployment", "ReplicaSet", "ReplicationController", "StatefulSet"})
"""Kinds that keep a stated number of pods alive."""
LASTING_KINDS = REPLICATED_KINDS | {"DaemonSet", "Pod"}
"""Kinds whose pods serve until they are stopped, unlike jobs."""

Role = Literal["container", "init", "ephemeral"]
_LISTS: tuple[tuple[str, Role], ...] = (
    ("initContainers", "init"),
    ("containers", "container"),
    ("ephemeralContainers", "ephemeral"),
)


@dataclass(frozen=True)
class Container:
    """One container of a pod."""

    node: Node
    role: Role

    @property
    def name(self) -> str:
        """Name, or its place when the name isn't known."""
        try:
            return self.node.text("name") or self.node.path
        except Undecided:
            return self.node.path

    @property
    def runs_along(self) -> bool:
        """Whether it runs as long as the pod: a main container, or an init container that is a sidecar."""
        return self.role == "container" or (
            self.role == "init" and self.node.text("restartPolicy") == "Always"
        )

    def request(self, name: str) -> float | None:
        """What it asks for of a resource, in cores or bytes; a limit stands in for a missing request."""
        resources = self.node.node("resources")
        requested = quantity(resources.node("requests"), name)
        return requested if requested is not None else quantity(resources.node("limits"), name)

    def limit(self, name: str) -> float | None:
        """The most that it gets of a resource, in cores or bytes."""
        return quantity(self.node.node("resources", "limits"), name)


@dataclass(frozen=True, eq=False)
class Workload:
    """A resource that makes pods."""

    resource: Resource

    @property
    def kind(self) -> str:
        """Kind of the resource."""
        return self.resource.kind

    @cached_property
    def template(self) -> Node:
        """The object that holds the pod's metadata and spec."""
        return self.resource.node.node(*_TEMPLATE[self.kind])

    @property
    def pod(self) -> Node:
        """The pod's spec."""
        return self.template.node("spec")

    def labels(self) -> Node:
        """The pod's labels."""
        return self.template.node("metadata", "labels")

    def containers(self, *roles: Role) -> list[Container]:
        """The containers in these roles, all when none is named."""
        wanted = [(key, role) for key, role in _LISTS if not roles or role in roles]
        return [Container(node, role) for key, role in wanted for node in self.pod.nodes(key)]

    def running_containers(self) -> list[Container]:
        """Main containers and sidecars."""
        return [container for container in self.containers("init", "container") if container.runs_along]

    @property
    def is_promised(self) -> bool:
        """Whether it states a promise, readable or not."""
        return self.resource.metadata.node("annotations").has(SERVICE_ANNOTATION)

    @cached_property
    def stated_promise(self) -> Service | None:
        """What the workload says of itself in its annotation. Raises SpecError when that can't be read."""
        text = self.resource.metadata.node("annotations").text(SERVICE_ANNOTATION)
        if text is None:
            return None
        return service_from_annotation(text, f"{self.resource.title}, annotation {SERVICE_ANNOTATION}")

    @property
    def promise(self) -> Service | None:
        """Like `stated_promise`, but Undecided where that can't be read, so that one rule alone tells it."""
        try:
            return self.stated_promise
        except SpecError as error:
            raise Undecided("its promise can't be read; see rule promise") from error

    @property
    def service_name(self) -> str:
        """Name of the service that it runs, as other services call it."""
        return self.resource.metadata.node("annotations").text(SERVICE_NAME_ANNOTATION) or self.resource.name

    @property
    def promised_availability(self) -> float | None:
        """Availability that its own SLO asks for."""
        promise = self.promise
        return promise.slo.availability if promise is not None and promise.slo is not None else None
