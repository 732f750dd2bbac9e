"""A stateless HTTP service."""

from typing import Any, NotRequired, Required, TypedDict

import pulumi
import pulumi_kubernetes as k8s

from groundplan.errors import SpecError
from pulumi_groundplan import network, pods
from pulumi_groundplan.metrics import DEFAULT_PATH, Metrics, metrics_service, scrape_annotations
from pulumi_groundplan.process import process
from pulumi_groundplan.promise import PodArgs, PromiseArgs, ReplicaArgs, ServerArgs
from pulumi_groundplan.replicated import Replicated

DEFAULT_SIZE: pods.Size = {"cpu": "100m", "memory": "128Mi"}
DEFAULT_DRAIN_SECONDS = 40
DEFAULT_STOP_SECONDS = 30


class HttpHealth(TypedDict):
    """Where a service tells how it is. The two paths differ: a replica that waits for its database is not
    ready, but restarting it would help no one."""

    liveness: str
    """Path that answers while the process works; the replica is restarted when it fails."""
    readiness: str
    """Path that answers when requests can be served; the replica gets none when it fails."""
    startup_seconds: NotRequired[int]
    """Longest time that a replica may take to start. Default 60."""


class WebServiceArgs(PodArgs, PromiseArgs, ReplicaArgs, ServerArgs, pods.ProcessArgs, total=False):
    """Arguments of a WebService."""

    health: Required[HttpHealth]
    """Where the service tells how it is. Probes are never guessed."""
    port: int
    """Port that the program listens on, and the port of its Services. Default 8000."""
    metrics: Metrics
    """Where Prometheus finds the metrics. Unset: there are none."""
    drain_seconds: int
    """Time that a replica serves on after it left the endpoints. Default 40: name servers commonly keep
    addresses for 30 seconds, and a LoadBalancer asks them every two."""
    stop_seconds: int
    """Time that the program has to finish its requests after SIGTERM. Default 30."""


class WebService(Replicated):
    """A stateless HTTP service: replicas that spread over nodes, drain before they stop, scale if asked, and
    are reached only by whom you name."""

    host: pulumi.Output[str]
    """Name of the service within its namespace; connections go to a replica picked blindly."""
    pods_host: pulumi.Output[str]
    """Name that lists the addresses of all replicas that are ready."""
    port: pulumi.Output[int]
    """Port of both names."""
    url: pulumi.Output[str]
    """Address within the namespace."""

    def __init__(self, name: str, args: WebServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("service", name, args, opts)
        health = args.get("health")
        if not health or not health.get("liveness") or not health.get("readiness"):
            raise SpecError(
                "health is missing",
                where=self._where,
                bound="the paths of liveness and readiness",
                fix='Give health, such as {"liveness": "/healthz", "readiness": "/readyz"}.',
            )
        port = int(args.get("port") or 8000)
        metrics = args.get("metrics")
        metrics_port = int((metrics or {}).get("port") or port)
        ports = {"http": port, **({"metrics": metrics_port} if metrics_port != port else {})}
        drain = int(args.get("drain_seconds") or DEFAULT_DRAIN_SECONDS)
        startup = int(health.get("startup_seconds") or 60)

        program = process(args)
        if program.files:
            program.depends_on.append(self._files(program.files))
        if metrics is not None:
            program.annotations |= scrape_annotations(metrics_port, metrics.get("path") or DEFAULT_PATH)
        main = pods.container(
            name=name,
            image=args["image"],
            resources=pods.resources(args, DEFAULT_SIZE),
            ports=ports,
            startupProbe=pods.http_probe(health["liveness"], "http", period=2, failures=-(-startup // 2)),
            livenessProbe=pods.http_probe(health["liveness"], "http", period=10, failures=3, timeout=5),
            readinessProbe=pods.http_probe(health["readiness"], "http", period=5, failures=2),
            lifecycle=pods.drain(drain),
            **program.container_fields,
        )
        self._run(
            template={
                "containers": [main],
                "volumes": program.volumes(name),
                "annotations": program.annotations,
                "user_id": program.user_id,
                "grace_seconds": drain + int(args.get("stop_seconds") or DEFAULT_STOP_SECONDS),
            },
            ingress=[
                *network.ingress(port, args.get("allow_from") or []),
                *([network.scraping(metrics_port)] if metrics is not None else []),
            ],
            reaches=args.get("connects_to") or [],
            depends_on=program.depends_on,
        )
        service = self._add("service", k8s.core.v1.Service, pods.service(self._metadata(), name, ports))
        headless = self._add(
            "pods",
            k8s.core.v1.Service,
            pods.service(self._metadata("-pods"), name, ports, headless=True),
        )
        if metrics is not None:
            self._add(
                "metrics", k8s.core.v1.Service, metrics_service(self._metadata("-metrics"), name, ports)
            )
        self.host = service.metadata.apply(_name)
        self.pods_host = headless.metadata.apply(_name)
        self.port = pulumi.Output.from_input(port)
        self.url = pulumi.Output.format("http://{0}:{1}", self.host, port)
        self._finish({"host": self.host, "podsHost": self.pods_host, "port": self.port, "url": self.url})


def _name(metadata: Any) -> str:
    return str(metadata["name"])
