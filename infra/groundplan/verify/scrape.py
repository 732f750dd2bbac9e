"""What the pods of a deployment say about themselves, read straight from each of them.

Through the API server and the node into the pod, as `kubectl port-forward` does: no network policy has to be
opened, and no monitoring has to have looked at the right moment.
"""

import http.client
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import portforward
from prometheus_client.parser import text_string_to_metric_families

from groundplan.errors import VerifyError
from groundplan.spec import SERVICE_ANNOTATION, SERVICE_NAME_ANNOTATION

_TIMEOUT_SECONDS = 10

Key = tuple[str, frozenset[tuple[str, str]]]
"""Name and labels of a sample."""

Samples = dict[Key, float]


@dataclass(frozen=True)
class Target:
    """A pod that offers metrics, and the service that it belongs to."""

    service: str
    namespace: str
    pod: str
    port: int
    path: str


@dataclass(frozen=True)
class Snapshot:
    """All samples, summed over the pods of each service, and the pods they are from."""

    targets: frozenset[Target]
    samples: Mapping[str, Samples]


def since(before: Snapshot, after: Snapshot) -> dict[str, Samples]:
    """How much each counter of each service rose between two moments.

    Raises VerifyError when pods came or went in between, because their counters are lost.
    """
    changed = before.targets ^ after.targets
    if changed:
        raise VerifyError(
            "Pods came or went during the measurement",
            ", ".join(sorted(f"{target.namespace}/{target.pod}" for target in changed)),
            fix="Wait until the deployment is steady and measure again.",
        )
    rises: dict[str, Samples] = {}
    for service, samples in after.samples.items():
        earlier = before.samples[service]
        rises[service] = {key: value - earlier.get(key, 0.0) for key, value in samples.items()}
        fallen = [key[0] for key, rise in rises[service].items() if rise < 0 and _is_counter(key[0])]
        if fallen:
            raise VerifyError(
                "A container restarted during the measurement",
                f"service {service}",
                fallen[0],
                "a counter that never falls",
                "Find out why it restarted (groundplan status), then measure again.",
            )
    return rises


def _is_counter(name: str) -> bool:
    return name.endswith(("_total", "_sum", "_count", "_bucket"))


class PodMetrics:
    """Reads the metrics of the pods in some namespaces of one cluster."""

    def __init__(self, kubeconfig: Path | None, context: str | None, namespaces: Iterable[str]) -> None:
        """Raises VerifyError when the kubeconfig can't be used."""
        try:
            self._config = client.Configuration()
            config.load_kube_config(  # type: ignore[no-untyped-call]
                str(kubeconfig) if kubeconfig else None, context, client_configuration=self._config
            )
        except config.ConfigException as error:
            raise VerifyError(f"The cluster can't be used: {error}", str(kubeconfig)) from error
        self._api = client.ApiClient(self._config)
        self._namespaces = tuple(namespaces)

    def targets(self) -> list[Target]:
        """The ready pods that offer metrics, by the annotations in common use (prometheus.io/scrape)."""
        apps, core = client.AppsV1Api(self._api), client.CoreV1Api(self._api)
        found = []
        for namespace in self._namespaces:
            # The client's types allow every field to be missing; the API's don't.
            workloads: list[Any] = [
                *apps.list_namespaced_deployment(namespace).items,
                *apps.list_namespaced_stateful_set(namespace).items,
            ]
            for workload in workloads:
                marks: Mapping[str, str] = workload.metadata.annotations or {}
                if SERVICE_ANNOTATION not in marks:
                    continue
                service = marks.get(SERVICE_NAME_ANNOTATION, workload.metadata.name)
                labels: Mapping[str, str] = workload.spec.selector.match_labels
                selector = ",".join(f"{name}={value}" for name, value in labels.items())
                pods = core.list_namespaced_pod(namespace, label_selector=selector).items
                found += [
                    target for pod in pods if (target := _target(service, pod)) and not _is_leaving(pod)
                ]
        return found

    def snapshot(self) -> Snapshot:
        """Read every pod once. Raises VerifyError when one doesn't answer."""
        targets = self.targets()
        samples: dict[str, Samples] = {}
        for target in targets:
            sums = samples.setdefault(target.service, {})
            for family in text_string_to_metric_families(self._read(target)):
                for sample in family.samples:
                    key = sample.name, frozenset(sample.labels.items())
                    sums[key] = sums.get(key, 0.0) + sample.value
        return Snapshot(frozenset(targets), samples)

    def _read(self, target: Target) -> str:
        where = f"pod {target.namespace}/{target.pod}"
        # The stream changes the client that it is given for good; it gets one of its own.
        api = client.CoreV1Api(client.ApiClient(self._config))
        try:
            forward = portforward(
                api.connect_get_namespaced_pod_portforward,
                target.pod,
                target.namespace,
                ports=str(target.port),
            )
        except ApiException as error:
            raise VerifyError(f"Its metrics can't be reached: {error.reason}", where) from error
        connection = http.client.HTTPConnection("localhost", target.port, timeout=_TIMEOUT_SECONDS)
        connection.sock = forward.socket(target.port)
        try:
            connection.request("GET", target.path)
            response = connection.getresponse()
            text = response.read().decode("utf-8")
        except (OSError, http.client.HTTPException) as error:
            raise VerifyError(
                f"Its metrics can't be read: {error or type(error).__name__}", where, target.path
            ) from error
        finally:
            connection.close()
            forward.close()
        if response.status != 200:
            raise VerifyError(f"Its metrics can't be read: status {response.status}", where, target.path)
        return text


def _target(service: str, pod: Any) -> Target | None:
    marks: Mapping[str, str] = pod.metadata.annotations or {}
    if marks.get("prometheus.io/scrape") != "true" or "prometheus.io/port" not in marks:
        return None
    return Target(
        service,
        pod.metadata.namespace,
        pod.metadata.name,
        int(marks["prometheus.io/port"]),
        marks.get("prometheus.io/path", "/metrics"),
    )


def _is_leaving(pod: Any) -> bool:
    return pod.metadata.deletion_timestamp is not None or pod.status.phase != "Running"
