"""Prometheus for one namespace."""

import json
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import yaml

from groundplan.spec import Slo as Promise
from groundplan.spec import parse_duration, parse_quantity, service_from_annotation
from pulumi_groundplan import alerts, network, pods
from pulumi_groundplan.base import NAME_LABEL, Manifest
from pulumi_groundplan.promise import PodArgs, PromiseArgs, ServerArgs, Slo, known
from pulumi_groundplan.stateful import Stateful, VolumeArgs

PORT = 9090
DEFAULT_SIZE: pods.Size = {"cpu": "50m", "memory": "256Mi"}
DEFAULT_STORAGE = "2Gi"
DEFAULT_RETENTION = "7d"
DEFAULT_INTERVAL = "15s"
STORAGE_SHARE = 0.8
"""Share of the volume that samples may fill; the rest is for the write-ahead log and for compaction."""
API_SERVER_PORTS = (443, 6443)


class MonitoringArgs(PodArgs, PromiseArgs, ServerArgs, VolumeArgs, total=False):
    """Arguments of a Monitoring."""

    slos: dict[str, Slo]
    """Promises by service name; each becomes alert rules."""
    response_time_metric: str
    """Histogram that the latency promises are held against. Default http_request_duration_seconds."""
    scrape_interval: str
    """Time between two readings of the metrics. Default 15s."""
    retention: str
    """Time that samples are kept. Default 7d."""


class Monitoring(Stateful):
    """Prometheus that reads the metrics of each pod of its namespace that offers them, keeps them on a
    volume, and alerts when a promise is about to break."""

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
        files = {
            "prometheus.yml": yaml.safe_dump(_config(args.get("scrape_interval") or DEFAULT_INTERVAL)),
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
                # a StatefulSet never runs two; a lock left by a crash would only hold the next one up
                "--storage.tsdb.no-lockfile",
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
                # it asks the API server which pods there are
                "automountServiceAccountToken": True,
            },
            claims=[self._claim("data", args, storage)],
            ingress=network.ingress(PORT, args.get("allow_from") or []),
            egress=[
                *network.egress(args.get("connects_to") or []),
                {"to": [{"podSelector": {}}]},
                # the API server's address isn't a pod's and is different in each cluster
                {"ports": [{"port": port, "protocol": "TCP"} for port in API_SERVER_PORTS]},
            ],
            depends_on=[config, *self._rights()],
        )
        self.host = service.metadata.apply(lambda metadata: str(metadata["name"]))
        self.port = pulumi.Output.from_input(PORT)
        self.url = pulumi.Output.format("http://{0}:{1}", self.host, PORT)
        self._finish({"host": self.host, "port": self.port, "url": self.url})

    def _rights(self) -> list[pulumi.Resource]:
        """The right to see the pods of this namespace, and nothing else."""
        role = self._add(
            "role",
            k8s.rbac.v1.Role,
            {
                "metadata": self._metadata(),
                "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}],
            },
        )
        binding = self._add(
            "role-binding",
            k8s.rbac.v1.RoleBinding,
            {
                "metadata": self._metadata(),
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": self._name},
                "subjects": [{"kind": "ServiceAccount", "name": self._name, "namespace": self._namespace}],
            },
        )
        return [role, binding]

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


def _config(interval: str) -> Manifest:
    label = f"__meta_kubernetes_pod_label_{_underscored(NAME_LABEL)}"
    relabel: list[dict[str, Any]] = [
        {"source_labels": [_annotation("scrape")], "regex": "true", "action": "keep"},
        # one target for each pod that runs, however many ports it has
        {"source_labels": ["__meta_kubernetes_pod_phase"], "regex": "Running", "action": "keep"},
        {"source_labels": [_annotation("path")], "regex": "(.+)", "target_label": "__metrics_path__"},
        {
            "source_labels": ["__meta_kubernetes_pod_ip", _annotation("port")],
            "separator": ":",
            "regex": "(.+:.+)",
            "target_label": "__address__",
        },
        {"source_labels": [label], "target_label": "service"},
        {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
        {"source_labels": ["__meta_kubernetes_pod_node_name"], "target_label": "node"},
    ]
    return {
        "global": {"scrape_interval": interval, "evaluation_interval": interval},
        "rule_files": ["rules.yml"],
        "scrape_configs": [
            {"job_name": "prometheus", "static_configs": [{"targets": [f"localhost:{PORT}"]}]},
            {
                "job_name": "pods",
                "kubernetes_sd_configs": [{"role": "pod", "namespaces": {"own_namespace": True}}],
                "relabel_configs": relabel,
            },
        ],
    }


def _annotation(field: str) -> str:
    return f"__meta_kubernetes_pod_annotation_prometheus_io_{field}"


def _underscored(label: str) -> str:
    return "".join(character if character.isalnum() else "_" for character in label)
