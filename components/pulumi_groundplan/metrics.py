"""How metrics are offered and found."""

from typing import Any, NotRequired, TypedDict

from pulumi_groundplan import pods
from pulumi_groundplan.base import Manifest

DEFAULT_PATH = "/metrics"
DEFAULT_PORT = 8000


class Metrics(TypedDict):
    """Where Prometheus finds the metrics of a service."""

    path: NotRequired[str]
    """Path of the metrics. Default /metrics."""
    port: NotRequired[int]
    """Port of the metrics. Default: that of a WebService, 9808 of a Worker, 8000 of a Monitoring's target."""


def metrics_host(name: str) -> str:
    """The name that lists the addresses of all replicas of a component, ready or not."""
    return f"{name}-metrics"


def metrics_service(metadata: Manifest, name: str, ports: dict[str, int]) -> Manifest:
    """The Service behind that name."""
    return pods.service(metadata, name, ports, headless=True, publishNotReadyAddresses=True)


def scrape_annotations(port: int, path: str) -> dict[str, Any]:
    """The annotations, in common use, by which a Prometheus of the whole cluster finds a pod's metrics."""
    return {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(port),
        "prometheus.io/path": path,
    }
