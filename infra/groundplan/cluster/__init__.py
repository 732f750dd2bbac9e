"""Clusters: the embedded one that groundplan makes, kind where it is there, and the user's own."""

from groundplan.cluster.context import DEFAULT_NAME, ClusterConfig
from groundplan.cluster.embedded import ClusterStatus, EmbeddedCluster, NodeStatus, down, logs, status, up

__all__ = [
    "DEFAULT_NAME",
    "ClusterConfig",
    "ClusterStatus",
    "EmbeddedCluster",
    "NodeStatus",
    "down",
    "logs",
    "status",
    "up",
]
