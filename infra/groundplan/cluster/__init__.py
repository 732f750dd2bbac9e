"""Clusters: the embedded one that groundplan makes, kind where it is there, and the user's own."""

from groundplan.cluster.adapters import Adapter, Cluster, Embedded, Existing, Kind, adapter_for
from groundplan.cluster.context import DEFAULT_NAME, ClusterConfig
from groundplan.cluster.embedded import (
    ClusterStatus,
    EmbeddedCluster,
    NodeStatus,
    down,
    logs,
    lose_worker,
    run_in_worker,
    status,
    up,
)
from groundplan.cluster.host import ProcessStatus

__all__ = [
    "DEFAULT_NAME",
    "Adapter",
    "Cluster",
    "ClusterConfig",
    "ClusterStatus",
    "Embedded",
    "EmbeddedCluster",
    "Existing",
    "Kind",
    "NodeStatus",
    "ProcessStatus",
    "adapter_for",
    "down",
    "logs",
    "lose_worker",
    "run_in_worker",
    "status",
    "up",
]
