"""The one model of a stack that all rules read: workloads, what selects them, what scales them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from groundplan.policy.promises import StatedSystem, find_systems
from groundplan.policy.resources import Resource
from groundplan.policy.selectors import all_of, map_selects, selects
from groundplan.policy.tree import Undecided
from groundplan.policy.workloads import LASTING_KINDS, WORKLOAD_KINDS, Workload

# kinds whose meaning depends on their API group: a Knative Service isn't a core Service
_GROUPS = {
    "Service": "", "Namespace": "", "Pod": "", "ReplicationController": "", "PersistentVolumeClaim": "",
    "Deployment": "apps", "ReplicaSet": "apps", "StatefulSet": "apps", "DaemonSet": "apps",
    "Job": "batch", "CronJob": "batch", "PodDisruptionBudget": "policy",
    "HorizontalPodAutoscaler": "autoscaling", "NetworkPolicy": "networking.k8s.io",
}  # fmt: skip


@dataclass(frozen=True)
class Scale:
    """How many replicas a workload may run. `fewest` and `most` are equal when nothing scales it."""

    fewest: int
    most: int
    stated: int | None
    autoscaler: Resource | None

    @property
    def source(self) -> str:
        """The field that decides `fewest`."""
        if self.autoscaler is not None and (self.stated is None or self.stated > self.fewest):
            return f"spec.minReplicas of {self.autoscaler.title}"
        return "spec.replicas"


class Stack:
    """Everything that is to be deployed together, indexed once.

    partial: whether resources are still missing, as when one is judged just before it is created. What only
    the missing ones could settle is then Undecided.
    """

    def __init__(self, resources: Iterable[Resource], *, partial: bool = False) -> None:
        self.resources = tuple(resources)
        self.partial = partial
        self._by_kind: dict[str, list[Resource]] = defaultdict(list)
        for resource in self.resources:
            if _GROUPS.get(resource.kind, resource.group) == resource.group:
                self._by_kind[resource.kind].append(resource)

    def of_kind(self, kind: str) -> list[Resource]:
        """Resources of a kind, in the order in which they were stated."""
        return self._by_kind.get(kind, [])

    @cached_property
    def workloads(self) -> tuple[Workload, ...]:
        """Everything that makes pods."""
        return tuple(
            Workload(resource)
            for resource in self.resources
            if resource.kind in WORKLOAD_KINDS and resource.group == _GROUPS[resource.kind]
        )

    def budgets_of(self, workload: Workload) -> list[Resource]:
        """PodDisruptionBudgets that select the workload's pods."""
        return list(
            _matching(
                self.of_kind("PodDisruptionBudget"),
                workload,
                lambda budget: selects(budget.spec, "selector", workload.labels),
            )
        )

    def network_policies_of(self, workload: Workload) -> list[Resource]:
        """NetworkPolicies that select the workload's pods."""
        return list(
            _matching(
                self.of_kind("NetworkPolicy"),
                workload,
                # an absent podSelector is an empty one here, which selects all pods
                lambda policy: (
                    not policy.spec.has("podSelector") or selects(policy.spec, "podSelector", workload.labels)
                ),
            )
        )

    def services_of(self, workload: Workload) -> list[Resource]:
        """Services that select the workload's pods."""
        return list(
            _matching(
                self.of_kind("Service"),
                workload,
                lambda service: map_selects(service.spec.node("selector"), workload.labels),
            )
        )

    def namespace_of(self, resource: Resource) -> Resource | None:
        """The Namespace that the resource lives in, if this stack makes it."""
        return next((space for space in self.of_kind("Namespace") if space.name == resource.namespace), None)

    def autoscalers_of(self, workload: Workload) -> list[Resource]:
        """HorizontalPodAutoscalers that scale the workload."""

        def targets(autoscaler: Resource) -> bool:
            target = autoscaler.spec.node("scaleTargetRef")
            return all_of(
                [
                    lambda: target.text("kind") == workload.kind,
                    lambda: target.text("name") == workload.resource.name,
                ]
            )

        return list(_matching(self.of_kind("HorizontalPodAutoscaler"), workload, targets))

    def scale_of(self, workload: Workload) -> Scale:
        """How many replicas it runs.

        A stated count and an autoscaler together give the smaller of both as the fewest, since every
        deployment puts the count back to what is stated.
        """
        stated = workload.resource.spec.whole("replicas") if workload.kind != "Pod" else 1
        if self.partial and stated is None:
            raise Undecided("spec.replicas is left to an autoscaler that isn't seen yet")
        autoscalers = self.autoscalers_of(workload)
        if not autoscalers:
            count = 1 if stated is None else stated
            return Scale(count, count, stated, None)
        autoscaler = autoscalers[0]
        low, high = autoscaler.spec.whole("minReplicas"), autoscaler.spec.whole("maxReplicas")
        fewest = 1 if low is None else low
        if high is None:
            raise Undecided(f"spec.maxReplicas of {autoscaler.title} is missing")
        if stated is None:
            return Scale(fewest, high, None, autoscaler)
        return Scale(min(fewest, stated), max(high, stated), stated, autoscaler)

    @cached_property
    def systems(self) -> list[StatedSystem]:
        """The systems whose promises the stack states."""
        return find_systems(self)

    @cached_property
    def lasting_workloads(self) -> tuple[Workload, ...]:
        """Workloads whose pods serve until they are stopped."""
        return tuple(workload for workload in self.workloads if workload.kind in LASTING_KINDS)


def _matching(
    candidates: Iterable[Resource], workload: Workload, matches: Callable[[Resource], bool]
) -> Iterator[Resource]:
    """Candidates in the workload's namespace that match it.

    Raises Undecided at the end if one may match or not.
    """
    undecided: Undecided | None = None
    for candidate in candidates:
        try:
            if all_of(
                [
                    lambda candidate=candidate: candidate.namespace == workload.resource.namespace,  # type: ignore[misc]
                    lambda candidate=candidate: matches(candidate),  # type: ignore[misc]
                ]
            ):
                yield candidate
        except Undecided as reason:
            undecided = Undecided(f"{reason.reason} ({candidate.title} may belong to it)")
    if undecided is not None:
        raise undecided
