"""The good stack, broken in one way for each rule; used in process and with the real engine."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SERVICE = "groundplan.dev/service"
SYSTEM = "groundplan.dev/system"

Manifest = dict[str, Any]
Stack = list[Manifest]


@dataclass(frozen=True)
class Breakage:
    """A way to break the stack. rule: the rule that must refuse it. resource: the title that it must name."""

    name: str
    rule: str
    resource: str
    apply: Callable[[Stack], None]


def find(stack: Stack, kind: str, name: str) -> Manifest:
    """A resource of the stack."""
    return next(one for one in stack if one["kind"] == kind and one["metadata"]["name"] == name)


def remove(stack: Stack, kind: str, name: str) -> None:
    """Take a resource out of the stack."""
    stack.remove(find(stack, kind, name))


def container(stack: Stack, kind: str, name: str) -> Manifest:
    """The first container of a workload."""
    return find(stack, kind, name)["spec"]["template"]["spec"]["containers"][0]  # type: ignore[no-any-return]


def restate(stack: Stack, kind: str, name: str, annotation: str, **changes: Any) -> None:
    """Change fields of what an annotation states."""
    annotations = find(stack, kind, name)["metadata"]["annotations"]
    annotations[annotation] = json.dumps(json.loads(annotations[annotation]) | changes)


def _one_replica(stack: Stack) -> None:
    find(stack, "Deployment", "edge")["spec"]["replicas"] = 1
    remove(stack, "PodDisruptionBudget", "edge")


def _no_budget(stack: Stack) -> None:
    remove(stack, "PodDisruptionBudget", "edge")


def _budget_of_another_namespace(stack: Stack) -> None:
    find(stack, "PodDisruptionBudget", "edge")["metadata"]["namespace"] = "elsewhere"


def _budget_that_blocks(stack: Stack) -> None:
    find(stack, "PodDisruptionBudget", "shop")["spec"]["minAvailable"] = 2


def _no_readiness(stack: Stack) -> None:
    del container(stack, "Deployment", "shop")["readinessProbe"]


def _no_memory_limit(stack: Stack) -> None:
    del container(stack, "StatefulSet", "database")["resources"]["limits"]


def _root(stack: Stack) -> None:
    container(stack, "Deployment", "orders")["securityContext"]["capabilities"] = {}


def _not_spread(stack: Stack) -> None:
    del find(stack, "Deployment", "edge")["spec"]["template"]["spec"]["topologySpreadConstraints"]


def _autoscaler_without_request(stack: Stack) -> None:
    del container(stack, "Deployment", "shop")["resources"]["requests"]["cpu"]


def _unreadable_promise(stack: Stack) -> None:
    restate(stack, "Deployment", "shop", SERVICE, concurency=2)


def _single_shop(stack: Stack) -> None:
    remove(stack, "HorizontalPodAutoscaler", "shop")
    remove(stack, "PodDisruptionBudget", "shop")
    restate(stack, "Deployment", "shop", SERVICE, slo={"p95": "800ms"})


def _available_database(stack: Stack) -> None:
    restate(stack, "Deployment", "edge", SERVICE, slo={"p95": "1s", "availability": 0.99999})


def _slow_database(stack: Stack) -> None:
    restate(stack, "StatefulSet", "database", SERVICE, service_time={"mean": "250ms"})


def _tight_budget(stack: Stack) -> None:
    restate(stack, "Namespace", "shop", SYSTEM, budget={"amount_per_month": 5, "currency": "USD"})


BREAKAGES = (
    Breakage("one-replica", "replicas", "Deployment shop/edge", _one_replica),
    Breakage("no-budget", "disruption-budget", "Deployment shop/edge", _no_budget),
    Breakage("budget-elsewhere", "disruption-budget", "Deployment shop/edge", _budget_of_another_namespace),
    Breakage("blocked-drain", "disruption-budget", "Deployment shop/shop", _budget_that_blocks),
    Breakage("no-readiness", "probes", "Deployment shop/shop", _no_readiness),
    Breakage("no-memory-limit", "resources", "StatefulSet shop/database", _no_memory_limit),
    Breakage("root", "pod-security-restricted", "Deployment shop/orders", _root),
    Breakage("refused-pods", "pod-security-admission", "Deployment shop/orders", _root),
    Breakage("not-spread", "spread", "Deployment shop/edge", _not_spread),
    Breakage("blind-autoscaler", "autoscaler", "Deployment shop/shop", _autoscaler_without_request),
    Breakage("unreadable-promise", "promise", "Deployment shop/shop", _unreadable_promise),
    Breakage("single-shop", "single-point-of-failure", "Deployment shop/shop", _single_shop),
    Breakage("unavailable", "availability", "Deployment shop/edge", _available_database),
    Breakage("slow", "response-time", "Deployment shop/edge", _slow_database),
    Breakage("expensive", "budget", "Namespace shop", _tight_budget),
)
