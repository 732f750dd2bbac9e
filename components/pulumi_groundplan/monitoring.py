"""Prometheus for one namespace."""

import json
from collections.abc import Mapping

import pulumi
import pulumi_kubernetes as k8s
import yaml

from groundplan.spec import Slo as Promise
from groundplan.spec import parse_duration, parse_quantity, service_from_annotation
from pulumi_groundplan import alerts, network, pods
from pulumi_groundplan.base import Manifest
from pulumi_groundplan.metrics import DEFAULT_PATH, DEFAULT_PORT, Metrics, metrics_host
from pulumi_groundplan.promise import PodArgs, PromiseArgs, ServerArgs, Slo, known
from pulumi_groundplan.stateful import Stateful, VolumeArgs

PORT = 9090
DEFAULT_SIZE: pods.Size = {"cpu": "50m", "memory": "256Mi"}
DEFAULT_STORAGE = "2Gi"
DEFAULT_RETENTION = "7d"
DEFAULT_INTERVAL = "15s"
STORAGE_SHARE = 0.8
"""Share of the volume that samples may fill; the rest is for the write-ahead log and for compaction."""


class MonitoringArgs(PodArgs, PromiseArgs, ServerArgs, VolumeArgs, total=False):
    """Arguments of a Monitoring."""

    targets: dict[str, Metrics]
    """Where the metrics are, by name of the WebService or Worker that offers them."""
    slos: dict[str, Slo]
    """Promises by service name; each becomes alert rules."""
    response_time_metric: str
    """Histogram that the latency promises are held against. Default http_request_duration_seconds."""
    scrape_interval: str
    """Time between two readings of the metrics. Default 15s."""
    retention: str
    """Time that samples are kept. Default 7d."""


class Monitoring(Stateful):
    """Prometheus that reads the metrics of each replica of its targets, keeps them on a volume, and alerts
    when a promise is about to break. It finds replicas by name, so it needs no rights in the cluster."""

    host: pulumi.Output[str]
    """Name within the namespace."""
    port: pulumi.Output[int]
    """Port within the namespace."""
    url: pulumi.Output[str]
    """Address within the namespace."""

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        storage = args.get("storage") or DEFAULT_STORAGE
        super().__init__(
            "service",
            name,
            {**args, "storage": storage},
            opts,
            port=PORT,
            accepted="requests don't pass through it; while it is away only measurements are missing",
            label=network.MONITORING_KIND,
        )
        targets = args.get("targets") or {}
        interval = args.get("scrape_interval") or DEFAULT_INTERVAL
        parse_duration(interval)
        files = {
            "prometheus.yml": yaml.safe_dump(_config(targets, interval)),
            "rules.yml": yaml.safe_dump(self._rules(args), sort_keys=False),
        }
        config = self._add(
            "config", k8s.core.v1.ConfigMap, {"metadata": self._metadata("-config"), "data": files}
        )
        retention = args.get("retention") or DEFAULT_RETENTION
        parse_duration(retention)
        most_bytes = int(STORAGE_SHARE * parse_quantity(storage))
        main = pods.container(
            name=name,
            image=args["image"],
            resources=pods.resources(args, DEFAULT_SIZE),
            ports={"tcp": PORT},
            mounts={"/etc/prometheus/groundplan": "config", "/data": "data"},
            read_only_mounts=["config"],
            args=[
                "--config.file=/etc/prometheus/groundplan/prometheus.yml",
                "--storage.tsdb.path=/data/prometheus",
                f"--storage.tsdb.retention.time={retention}",
                f"--storage.tsdb.retention.size={most_bytes}B",
                "--log.format=json",
            ],
            startupProbe=pods.http_probe("/-/ready", "tcp", period=2, failures=150),
            livenessProbe=pods.http_probe("/-/healthy", "tcp", period=15, failures=4, timeout=5),
            readinessProbe=pods.http_probe("/-/ready", "tcp", period=5, failures=3, timeout=5),
        )
        service = self._run(
            template={
                "containers": [main],
                "volumes": [{"name": "config", "configMap": {"name": f"{name}-config"}}],
                "annotations": {"groundplan.dev/files": pods.checksum(files)},
            },
            claims=[self._claim("data", args, storage)],
            ingress=network.ingress(PORT, args.get("allow_from") or []),
            egress=network.egress([*targets, *(args.get("connects_to") or [])]),
            depends_on=[config],
        )
        self.host = service.metadata.apply(lambda metadata: str(metadata["name"]))
        self.port = pulumi.Output.from_input(PORT)
        self.url = pulumi.Output.format("http://{0}:{1}", self.host, PORT)
        self._finish({"host": self.host, "port": self.port, "url": self.url})

    def _rules(self, args: MonitoringArgs) -> Manifest:
        promises: dict[str, Promise] = {}
        for service, stated in (args.get("slos") or {}).items():
            where = f"{self._where}: slos.{service}"
            read = service_from_annotation(json.dumps({"slo": known(stated, where, "slo")}), where)
            if read.slo is None:
                continue
            promises[service] = read.slo
            for row in alerts.silent_burn_rates(read.slo):
                pulumi.log.warn(
                    f"{where}: no outage can use up the error budget {row['burn_rate']:g} times too fast at "
                    f"availability {read.slo.availability:g}; the alert over {row['long']} is left out",
                    self,
                )
        metric = args.get("response_time_metric") or "http_request_duration_seconds"
        return alerts.rule_groups(promises, metric)


def _config(targets: Mapping[str, Metrics], interval: str) -> Manifest:
    scrapes: list[Manifest] = [
        {"job_name": "prometheus", "static_configs": [{"targets": [f"localhost:{PORT}"]}]}
    ]
    for name, metrics in sorted(targets.items()):
        # the name lists replicas that aren't ready too: whether they are up is what is asked
        addresses = {
            "names": [metrics_host(name)],
            "type": "A",
            "port": int(metrics.get("port") or DEFAULT_PORT),
            "refresh_interval": interval,
        }
        scrapes.append(
            {
                "job_name": name,
                "metrics_path": metrics.get("path") or DEFAULT_PATH,
                "dns_sd_configs": [addresses],
                "relabel_configs": [{"target_label": "service", "replacement": name}],
            }
        )
    return {
        "global": {"scrape_interval": interval, "evaluation_interval": interval},
        "rule_files": ["rules.yml"],
        "scrape_configs": scrapes,
    }
