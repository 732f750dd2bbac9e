"""The namespace of a system, with its borders."""

import json
from typing import Any, Required, TypedDict

import pulumi
import pulumi_kubernetes as k8s

from groundplan.spec import SYSTEM_ANNOTATION, system_from_annotation, system_to_annotation
from pulumi_groundplan.base import Component, Manifest
from pulumi_groundplan.promise import Failure, known

POD_SECURITY = "restricted"


class Amount(TypedDict):
    """An amount of money for each month of 730 hours."""

    amount_per_month: float
    """Amount per month, in the currency."""
    currency: str
    """Currency, three capital letters (ISO 4217)."""


class OneOffAmount(TypedDict):
    """An amount of money that is spent once."""

    amount: float
    """Amount, in the currency."""
    currency: str
    """Currency, three capital letters (ISO 4217)."""


class Platform(TypedDict, total=False):
    """The nodes that the system runs on."""

    nodes: int
    """Number of worker nodes."""
    zones: int
    """Number of zones that the nodes are spread over evenly. Default 1."""
    node_cpu: str
    """Cores of one node that pods can use, such as 2 or 1900m."""
    node_memory: str
    """Memory of one node that pods can use, such as 4Gi."""
    machine_cpu: str
    """Cores of the one machine that all nodes share, when they aren't machines of their own."""
    background_cpu: float
    """Cores that are busy with work outside the system, over all nodes together. Default 0."""
    node_failure: Failure
    """Failures of one node, where the default doesn't fit."""
    zone_failure: Failure
    """Failures of one zone, where the default doesn't fit."""
    node_detection: str
    """Time until a dead node is noticed, such as 50s."""
    node_toleration: str
    """Time that pods stay bound to a dead node before they are replaced, such as 300s."""
    pod_start: str
    """Time from a pod's creation to Ready, such as 5s."""


class Quota(TypedDict, total=False):
    """The most that all pods of the namespace may ask for together. What is unset isn't limited."""

    cpu: str
    """CPU requests together, such as 2."""
    memory: str
    """Memory limits together, such as 4Gi."""
    storage: str
    """Persistent storage together, such as 20Gi."""
    pods: int
    """Number of pods."""


class EnvironmentArgs(TypedDict, total=False):
    """Arguments of an Environment."""

    platform: Platform
    """The nodes below; predictions about failures and the gate's checks of fit need it."""
    price_table: str
    """Price table that costs are estimated with. Default on-premises."""
    budget: Amount
    """What the system may cost."""
    benefit: Amount
    """What the system brings in."""
    investment: OneOffAmount
    """What it costs once, to build or introduce."""
    quota: Required[Quota]
    """The most that the namespace may ask for."""
    labels: dict[str, pulumi.Input[str]]
    """More labels of the namespace."""
    overrides: dict[str, Any]
    """Fields of children by child name, merged into what the component makes (strategic merge)."""


_SYSTEM_FIELDS = ("platform", "price_table", "budget", "benefit", "investment")


class Environment(Component):
    """A namespace named after the component, in which nothing may connect to anything until a component says
    so, only pods that pass Pod Security `restricted` are let in, and no container goes without limits."""

    namespace: pulumi.Output[str]
    """Name of the namespace; give it to the components."""

    def __init__(self, name: str, args: EnvironmentArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args, opts)
        stated = {
            field: known(value, self._where, field)
            for field in _SYSTEM_FIELDS
            if (value := args.get(field)) is not None
        }
        system = system_from_annotation(json.dumps({"name": name, **stated}), self._where)
        levels = {f"pod-security.kubernetes.io/{mode}": POD_SECURITY for mode in ("enforce", "audit", "warn")}
        namespace = self._add(
            "namespace",
            k8s.core.v1.Namespace,
            {
                "metadata": {
                    "name": name,
                    "labels": {
                        "app.kubernetes.io/part-of": name,
                        "app.kubernetes.io/managed-by": "groundplan",
                        **levels,
                        **(args.get("labels") or {}),
                    },
                    "annotations": {SYSTEM_ANNOTATION: system_to_annotation(system)},
                }
            },
        )
        self._namespace: pulumi.Output[str] = namespace.metadata.apply(lambda metadata: str(metadata["name"]))
        self._add(
            "default-deny",
            k8s.networking.v1.NetworkPolicy,
            {
                "metadata": self._metadata("default-deny"),
                "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
            },
        )
        self._add(
            "limits",
            k8s.core.v1.LimitRange,
            {
                "metadata": self._metadata("limits"),
                "spec": {
                    "limits": [
                        {
                            "type": "Container",
                            "default": {"memory": "128Mi"},
                            "defaultRequest": {"cpu": "50m", "memory": "128Mi"},
                        }
                    ]
                },
            },
        )
        self._add(
            "quota",
            k8s.core.v1.ResourceQuota,
            {"metadata": self._metadata("quota"), "spec": {"hard": _hard(args["quota"])}},
        )
        self.namespace = self._namespace
        self._finish({"namespace": self.namespace})

    def _metadata(self, name: str) -> Manifest:
        return {
            "name": name,
            "namespace": self._namespace,
            "labels": {
                "app.kubernetes.io/part-of": self._name,
                "app.kubernetes.io/managed-by": "groundplan",
            },
        }


def _hard(quota: Quota) -> dict[str, str]:
    names = {
        "cpu": "requests.cpu",
        "memory": "limits.memory",
        "storage": "requests.storage",
        "pods": "pods",
    }
    stated: dict[str, Any] = dict(quota)
    return {
        names[field]: str(int(value) if field == "pods" else value)
        for field, value in stated.items()
        if value is not None
    }
