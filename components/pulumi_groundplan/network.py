"""Who may connect to whom. An Environment denies everything; each component then opens what it needs."""

from collections.abc import Iterable, Sequence
from typing import Any

import pulumi

from pulumi_groundplan.base import KIND_LABEL, Manifest, selector

MONITORING_KIND = "monitoring"

# No peer is named: a name server may run on the host network or as a node's cache, which no selector finds.
_DNS: Manifest = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}


def ingress(port: int, names: Sequence[str] | None) -> list[Manifest]:
    """Let the named components reach a port; None lets everyone, an empty list no one."""
    ports = [{"port": port, "protocol": "TCP"}]
    if names is None:
        return [{"ports": ports}]
    return [{"ports": ports, "from": _pods(names)}] if names else []


def scraping(port: int) -> Manifest:
    """Let the namespace's Monitoring read metrics."""
    return {
        "ports": [{"port": port, "protocol": "TCP"}],
        "from": [{"podSelector": {"matchLabels": {KIND_LABEL: MONITORING_KIND}}}],
    }


def egress(names: Iterable[str]) -> list[Manifest]:
    """Let a component look names up and reach the named components; their own ingress limits the ports."""
    peers = sorted(set(names))
    return [_DNS, {"to": _pods(peers)}] if peers else [_DNS]


def _pods(names: Iterable[str]) -> list[Manifest]:
    return [{"podSelector": {"matchLabels": selector(name)}} for name in names]


def policy(
    name: str,
    namespace: pulumi.Input[str],
    labels: dict[str, Any],
    ingress_rules: list[Manifest],
    egress_rules: list[Manifest],
) -> Manifest:
    """A NetworkPolicy for the pods of one component."""
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "podSelector": {"matchLabels": selector(name)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": ingress_rules,
            "egress": egress_rules,
        },
    }
