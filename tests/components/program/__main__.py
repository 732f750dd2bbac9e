"""What the end-to-end tests of the components deploy. Prometheus stands in for a web service: it answers over
HTTP, offers metrics and works for its answers, so that no image of its own is needed."""

import os
from pathlib import Path

import pulumi

from pulumi_groundplan import (
    IMAGES,
    Cache,
    ContainerImage,
    ContainerImageArgs,
    Database,
    Environment,
    LoadBalancer,
    Monitoring,
    WebService,
)

namespace = os.environ["TEST_NAMESPACE"]


def image(name: str) -> pulumi.Output[str]:
    """Build one of the package's images in the test cluster's builder."""
    args: ContainerImageArgs = {
        "registry": os.environ["GROUNDPLAN_REGISTRY"],
        "base": os.environ["GROUNDPLAN_BASE"],
        "builder_name": os.environ["GROUNDPLAN_BUILDER_NAME"],
        "context": str(Path(IMAGES) / name),
    }
    return ContainerImage(f"{name}-image", args).ref


place = Environment(namespace, {"quota": {"cpu": "2", "memory": "3Gi", "storage": "5Gi", "pods": 20}})
prometheus = image("prometheus")
Database(
    "database",
    {
        "namespace": place.namespace,
        "image": image("postgresql"),
        "cpu": "25m",
        "database": "notes",
        "backup_keep": 2,
        "allow_from": ["web"],
    },
)
Cache("cache", {"namespace": place.namespace, "image": image("redis"), "cpu": "10m", "allow_from": ["web"]})
web = WebService(
    "web",
    {
        "namespace": place.namespace,
        "image": prometheus,
        "cpu": "10m",
        "memory": "96Mi",
        "port": 9090,
        "autoscaling": {"min": 2, "max": 3, "target_cpu_utilization": 1.0},
        "arguments": ["--config.file=/config/prometheus.yml", "--storage.tsdb.path=/data/prometheus"],
        "files": {"prometheus.yml": "global: {scrape_interval: 1h}\n"},
        "writable": ["/data"],
        "health": {"liveness": "/-/healthy", "readiness": "/-/ready", "startup_seconds": 120},
        "metrics": {},
        "allow_from": ["edge"],
        "calls": [{"to": "database"}],
    },
)
LoadBalancer(
    "edge",
    {
        "namespace": place.namespace,
        "image": image("nginx"),
        "cpu": "10m",
        "target": "web",
        "target_port": 9090,
    },
    pulumi.ResourceOptions(depends_on=[web]),
)
Monitoring(
    "monitoring",
    {
        "namespace": place.namespace,
        "image": prometheus,
        "cpu": "20m",
        "scrape_interval": "2s",
        "targets": {"web": {"port": 9090}},
        "slos": {"web": {"p95": "500ms", "availability": 0.99}},
    },
)
