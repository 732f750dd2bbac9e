"""Why pods are not ready: reason, events and last log lines, for people."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

_LOG_LINES = 8
_EVENTS = 3
_TIMEOUT_SECONDS = 10

Json = Mapping[str, Any]


@dataclass(frozen=True)
class PodTrouble:
    """A pod that is not ready. reason: such as `ImagePullBackOff: ...`; log: its last lines."""

    namespace: str
    pod: str
    reason: str
    events: tuple[str, ...]
    log: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"pod {self.namespace}/{self.pod}: {self.reason}"]
        lines += [f"  event: {event}" for event in self.events]
        lines += [f"  log: {line}" for line in self.log]
        return "\n".join(lines)


def core_api(kubeconfig: Path | None, context: str | None) -> client.CoreV1Api:
    """The cluster's core API, of the named kubeconfig alone."""
    api = config.new_client_from_config(  # type: ignore[no-untyped-call]
        str(kubeconfig) if kubeconfig else None, context
    )
    return client.CoreV1Api(api)


def why_not_ready(kubeconfig: Path | None, context: str | None, namespaces: Iterable[str]) -> list[str]:
    """What each troubled pod says, as text; a cluster that doesn't answer says so too."""
    try:
        return [str(trouble) for trouble in troubled_pods(core_api(kubeconfig, context), namespaces)]
    except (ApiException, HTTPError, config.ConfigException, OSError) as error:
        return [f"The cluster doesn't tell why: {type(error).__name__}: {error}"]


def troubled_pods(api: client.CoreV1Api, namespaces: Iterable[str]) -> list[PodTrouble]:
    """Each pod in the namespaces that should be ready and is not."""
    troubles = []
    for namespace in sorted(namespaces):
        pods = _items(api.list_namespaced_pod, namespace)
        troubles += [_trouble(api, namespace, pod) for pod in pods if not is_well(pod)]
    return troubles


def _items(call: Any, namespace: str, **options: str) -> list[Json]:
    # plain JSON: the client's own classes make every field optional and cost time to build
    answer = call(namespace, _preload_content=False, _request_timeout=_TIMEOUT_SECONDS, **options)
    items: list[Json] = json.loads(answer.data)["items"]
    return items


def is_well(pod: Json) -> bool:
    """Whether a pod is ready, has done its work, or is on its way out."""
    if pod["status"].get("phase") == "Succeeded" or "deletionTimestamp" in pod["metadata"]:
        return True
    return any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in pod["status"].get("conditions", ())
    )


def _trouble(api: client.CoreV1Api, namespace: str, pod: Json) -> PodTrouble:
    name = pod["metadata"]["name"]
    events = _items(
        api.list_namespaced_event, namespace, field_selector=f"involvedObject.name={name},type=Warning"
    )
    latest = sorted(events, key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")
    return PodTrouble(
        namespace,
        name,
        reason(pod),
        tuple(f"{event['reason']}: {event.get('message', '').strip()}" for event in latest[-_EVENTS:]),
        _last_log_lines(api, namespace, pod),
    )


def reason(pod: Json) -> str:
    """Why a pod is not ready, in one line."""
    status = pod["status"]
    for container in [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]:
        state, name = container.get("state", {}), container["name"]
        if container.get("ready"):
            continue
        ended = state.get("terminated") or container.get("lastState", {}).get("terminated")
        ending = (
            f"ended with code {ended['exitCode']} ({ended.get('reason', 'no reason given')})" if ended else ""
        )
        waiting = state.get("waiting", {})
        if waiting.get("reason", "PodInitializing") != "PodInitializing":
            text = f"{waiting['reason']} in container {name}" + (f", which {ending}" if ending else "")
            return f"{text}: {waiting['message']}" if waiting.get("message") else text
        if state.get("terminated", {}).get("exitCode"):
            return f"container {name} {ending}"
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"not scheduled, {condition.get('reason')}: {condition.get('message')}"
    for condition in status.get("conditions", ()):
        if condition["type"] in {"ContainersReady", "Ready"} and condition["status"] == "False":
            return (
                f"not ready, {condition.get('reason')}: {condition.get('message', 'a readiness probe fails')}"
            )
    return f"{status.get('phase')}, {status.get('reason', 'no reason given')}"


def _last_log_lines(api: client.CoreV1Api, namespace: str, pod: Json) -> tuple[str, ...]:
    for container in pod["status"].get("containerStatuses", ()):
        state = container.get("state", {})
        started = "running" in state or "terminated" in state
        restarted = "terminated" in container.get("lastState", {})
        if container.get("ready") or not (started or restarted):
            continue
        try:
            text: str = api.read_namespaced_pod_log(
                pod["metadata"]["name"],
                namespace,
                container=container["name"],
                previous=restarted and not started,
                tail_lines=_LOG_LINES,
                _request_timeout=_TIMEOUT_SECONDS,
            )
        except ApiException as error:
            return (f"(the log can't be read: {error.reason})",)
        if text.strip():
            return tuple(text.strip().splitlines())
    return ()
