"""The entry of a system: nginx in front of a WebService."""

import re
from enum import Enum
from typing import Any, Required

import pulumi
import pulumi_kubernetes as k8s
from jinja2 import Environment as Templates
from jinja2 import PackageLoader, StrictUndefined

from groundplan.errors import SpecError
from pulumi_groundplan import network, pods
from pulumi_groundplan.promise import PodArgs, PromiseArgs, ReplicaArgs, ServerArgs
from pulumi_groundplan.replicated import Replicated

DEFAULT_SIZE: pods.Size = {"cpu": "50m", "memory": "64Mi"}
DEFAULT_DRAIN_SECONDS = 10
DEFAULT_STOP_SECONDS = 30
HEALTH_PATH = "/nginx-health"
PORT = 8080
WORKERS = 2
CONNECTIONS_PER_REQUEST = 2  # one from the client, one to the target
_PATH = re.compile(r"/[A-Za-z0-9._~/%-]*")


class Balancing(Enum):
    """How requests are spread over the ready replicas of the target."""

    ROUND_ROBIN = "round-robin"
    """One after the other."""
    LEAST_CONNECTIONS = "least-connections"
    """The one with the fewest requests under way; shorter waits when requests differ in length."""


class Exposure(Enum):
    """Type of the Service that clients reach."""

    CLUSTER_IP = "ClusterIP"
    """From within the cluster only."""
    NODE_PORT = "NodePort"
    """On a port of each node."""
    LOAD_BALANCER = "LoadBalancer"
    """Through the cloud provider's load balancer."""


class LoadBalancerArgs(PodArgs, PromiseArgs, ReplicaArgs, ServerArgs, total=False):
    """Arguments of a LoadBalancer."""

    target: Required[str]
    """Name of the WebService behind it."""
    target_port: int
    """Port of the WebService. Default 8000."""
    balancing: Balancing
    """How requests are spread. Default least-connections."""
    cache_paths: list[str]
    """Path prefixes whose answers are kept for as long as their Cache-Control allows."""
    cache_size: str
    """Most that one replica keeps, such as 64m. Default 64m."""
    hidden_paths: list[str]
    """Path prefixes that outsiders get 404 for. Default /metrics."""
    timeout_seconds: int
    """Longest wait for the target between two reads. Default 30."""
    max_body: str
    """Largest request body, such as 1m. Default 1m."""
    exposure: Exposure
    """Type of its Service. Default NodePort."""
    node_port: int
    """Port on each node, with NodePort. Unset: Kubernetes picks one."""


class LoadBalancer(Replicated):
    """nginx in front of a WebService: it spreads requests over the pods that are ready, keeps answers that
    may be kept, and tries another pod when one fails. Everyone may connect unless `allow_from` is given."""

    host: pulumi.Output[str]
    """Name within the namespace."""
    port: pulumi.Output[int]
    """Port within the namespace."""
    url: pulumi.Output[str]
    """Address within the namespace."""
    node_port: pulumi.Output[int]
    """Port on each node; 0 when there is none."""

    def __init__(self, name: str, args: LoadBalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("load-balancer", name, args, opts)
        exposure = Exposure(args.get("exposure") or Exposure.NODE_PORT)
        target_port = int(args.get("target_port") or 8000)
        config = self._config(args)
        contents = self._files({"nginx.conf": config}, "config")
        main = pods.container(
            name=name,
            image=args["image"],
            resources=pods.resources(args, DEFAULT_SIZE),
            ports={"http": PORT},
            env=[
                {"name": "UPSTREAM_HOST", "value": f"{args['target']}-pods"},
                {"name": "UPSTREAM_PORT", "value": str(target_port)},
            ],
            mounts={
                "/etc/nginx/groundplan": "config",
                "/run/nginx": "run",
                "/var/cache/nginx": "cache",
            },
            read_only_mounts=["config"],
            startupProbe=pods.http_probe(HEALTH_PATH, "http", period=1, failures=180),
            livenessProbe=pods.http_probe(HEALTH_PATH, "http", period=10, failures=3),
            # the target's health is not the proxy's: without proxies there is not even an error page
            readinessProbe=pods.http_probe(HEALTH_PATH, "http", period=3, failures=2),
            lifecycle=pods.drain(DEFAULT_DRAIN_SECONDS),
        )
        self._run(
            template={
                "containers": [main],
                "volumes": [
                    {"name": "config", "configMap": {"name": f"{name}-config"}},
                    pods.scratch("run", "1Mi"),
                    pods.scratch("cache", "512Mi"),
                ],
                "annotations": {"groundplan.dev/files": pods.checksum({"nginx.conf": config})},
                "grace_seconds": DEFAULT_DRAIN_SECONDS + DEFAULT_STOP_SECONDS,
            },
            ingress=network.ingress(PORT, args.get("allow_from")),
            reaches=[args["target"], *(args.get("connects_to") or [])],
            depends_on=[contents],
        )
        service = self._add("service", k8s.core.v1.Service, self._entry(exposure, args))
        self.host = service.metadata.apply(lambda metadata: str(metadata["name"]))
        self.port = pulumi.Output.from_input(PORT)
        self.url = pulumi.Output.format("http://{0}:{1}", self.host, PORT)
        self.node_port = service.spec.apply(lambda spec: int(spec["ports"][0].get("node_port") or 0))
        self._finish({"host": self.host, "port": self.port, "url": self.url, "nodePort": self.node_port})

    def _entry(self, exposure: Exposure, args: LoadBalancerArgs) -> dict[str, Any]:
        manifest = pods.service(self._metadata(), self._name, {"http": PORT}, type=exposure.value)
        node_port = args.get("node_port")
        if node_port is None:
            return manifest
        if exposure is not Exposure.NODE_PORT or not 1 <= int(node_port) <= 65535:
            raise SpecError(
                "node_port doesn't fit",
                where=self._where,
                value=int(node_port),
                bound="a port number, together with exposure NodePort",
            )
        manifest["spec"]["ports"][0]["nodePort"] = int(node_port)
        return manifest

    def _config(self, args: LoadBalancerArgs) -> str:
        hidden = args.get("hidden_paths", ["/metrics"])
        cached = args.get("cache_paths") or []
        for field, paths in (("hidden_paths", hidden), ("cache_paths", cached)):
            for path in paths:
                if not _PATH.fullmatch(path):
                    raise SpecError(
                        f"{field} has something that is not a path",
                        where=self._where,
                        value=path,
                        bound="a path prefix such as /api/products/",
                    )
        if twice := sorted(set(hidden) & {*cached, "/"}):
            raise SpecError(
                "a path can't be hidden and served", where=self._where, value=twice[0], bound="one of the two"
            )
        sizes = {"cache_size": args.get("cache_size") or "64m", "max_body": args.get("max_body") or "1m"}
        for field, size in sizes.items():
            if not re.fullmatch(r"\d+[kmg]?", size):
                raise SpecError(f"{field} is not a size", where=self._where, value=size, bound="such as 64m")
        # concurrency is what the predictions take; the rest is room for clients that keep idle connections
        connections = max(1024, CONNECTIONS_PER_REQUEST * self._service.concurrency)
        templates = Templates(
            loader=PackageLoader("pulumi_groundplan"),
            undefined=StrictUndefined,
            trim_blocks=True,
            autoescape=False,  # noqa: S701 - nginx's configuration, not HTML
        )
        return templates.get_template("nginx.conf.j2").render(
            workers=WORKERS,
            connections=connections,
            drain_seconds=DEFAULT_STOP_SECONDS,
            least_connections=Balancing(args.get("balancing") or Balancing.LEAST_CONNECTIONS)
            is Balancing.LEAST_CONNECTIONS,
            timeout_seconds=int(args.get("timeout_seconds") or 30),
            health_path=HEALTH_PATH,
            hidden_paths=hidden,
            cache_paths=cached,
            **sizes,
        )
