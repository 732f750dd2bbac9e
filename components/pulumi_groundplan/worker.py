"""A program that takes its work from a broker."""

from typing import NotRequired, Required, TypedDict

import pulumi
import pulumi_kubernetes as k8s

from groundplan.errors import SpecError
from pulumi_groundplan import network, pods
from pulumi_groundplan.metrics import DEFAULT_PATH, Metrics, metrics_service, scrape_annotations
from pulumi_groundplan.process import process
from pulumi_groundplan.promise import PodArgs, PromiseArgs, ReplicaArgs
from pulumi_groundplan.replicated import Replicated

DEFAULT_SIZE: pods.Size = {"cpu": "100m", "memory": "128Mi"}
DEFAULT_STOP_SECONDS = 60
DEFAULT_METRICS_PORT = 9808


class WorkerHealth(TypedDict):
    """How a worker tells how it is: over HTTP or by a command, one of the two."""

    path: NotRequired[str]
    """Path that answers while the worker works."""
    port: NotRequired[int]
    """Port of the path. Default: the port of the metrics."""
    command: NotRequired[list[str]]
    """Command in the container that ends with 0 while the worker works."""
    startup_seconds: NotRequired[int]
    """Longest time that a replica may take to start. Default 60."""


class WorkerArgs(PodArgs, PromiseArgs, ReplicaArgs, pods.ProcessArgs, total=False):
    """Arguments of a Worker."""

    health: Required[WorkerHealth]
    """How the worker tells how it is. Probes are never guessed."""
    metrics: Metrics
    """Where Prometheus finds the metrics. Unset: there are none."""
    stop_seconds: int
    """Time that the program has to finish its tasks after SIGTERM. Default 60."""


class Worker(Replicated):
    """Replicas that take work from a broker, such as Celery workers. Only Monitoring connects to them."""

    workload: pulumi.Output[str]
    """Name of the Deployment."""

    def __init__(self, name: str, args: WorkerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("worker", name, args, opts)
        metrics = args.get("metrics")
        metrics_port = int((metrics or {}).get("port") or DEFAULT_METRICS_PORT)
        health = args.get("health") or {}
        health_port = int(health.get("port") or metrics_port)
        startup = int(health.get("startup_seconds") or 60)
        path, command = health.get("path"), health.get("command")
        if bool(path) == bool(command):
            raise SpecError(
                "health is missing" if not path else "health is given twice",
                where=self._where,
                bound="a path or a command",
                fix='Give health, such as {"path": "/healthz"}.',
            )

        def probe(period: int, failures: int) -> dict[str, object]:
            if path:
                return pods.http_probe(path, "health", period=period, failures=failures, timeout=5)
            return pods.exec_probe(command or [], period=period, failures=failures, timeout=10)

        ports = {"health": health_port} if path else {}
        if metrics is not None and metrics_port not in ports.values():
            ports["metrics"] = metrics_port
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
            startupProbe=probe(5, -(-startup // 5)),
            livenessProbe=probe(30, 3),
            # no one sends requests to a worker; ready means that a rollout may go on to the next replica
            readinessProbe=probe(10, 3),
            **program.container_fields,
        )
        deployment = self._run(
            template={
                "containers": [main],
                "volumes": program.volumes(name),
                "annotations": program.annotations,
                "user_id": program.user_id,
                "grace_seconds": int(args.get("stop_seconds") or DEFAULT_STOP_SECONDS),
            },
            ingress=[network.scraping(metrics_port)] if metrics is not None else [],
            reaches=args.get("connects_to") or [],
            depends_on=program.depends_on,
        )
        if metrics is not None:
            self._add(
                "metrics", k8s.core.v1.Service, metrics_service(self._metadata("-metrics"), name, ports)
            )
        self.workload = deployment.metadata.apply(lambda metadata: str(metadata["name"]))
        self._finish({"workload": self.workload})
