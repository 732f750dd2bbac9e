"""Talks to the API server and to the cluster's DNS."""

import random
import socket
import ssl
import struct
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from groundplan.cluster.context import Context
from groundplan.errors import ClusterError

_TYPE_A, _CLASS_IN = 1, 1
_RECURSION_DESIRED = 0x0100


class Api:
    """A connection to the API server with the administrator's certificate."""

    def __init__(self, server: str, authority: Path, certificate: Path, key: Path) -> None:
        trust = ssl.create_default_context(cafile=str(authority))
        trust.load_cert_chain(certificate, key)
        self._client = httpx.Client(base_url=server, verify=trust, timeout=5, trust_env=False)

    @classmethod
    def of(cls, context: Context) -> Self:
        pki = context.pki
        return cls(context.server, pki.certificate("cluster-ca"), pki.certificate("admin"), pki.key("admin"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, path: str) -> Any | None:
        """Return a resource, or None where it isn't there or the server doesn't answer yet."""
        try:
            answer = self._client.get(path)
        except httpx.HTTPError:
            return None
        return answer.json() if answer.status_code == 200 else None

    def is_ready(self) -> bool:
        """Tell whether the server says that it is ready."""
        try:
            return self._client.get("/readyz").status_code == 200
        except httpx.HTTPError:
            return False

    def patch(self, path: str, change: dict[str, Any]) -> None:
        """Merge a change into a resource; raise ClusterError when the server refuses."""
        headers = {"Content-Type": "application/merge-patch+json"}
        self._require(self._client.patch(path, json=change, headers=headers), path)

    def delete(self, path: str) -> None:
        """Delete a resource that may already be gone; raise ClusterError when the server refuses."""
        answer = self._client.delete(path)
        if answer.status_code != 404:
            self._require(answer, path)

    def _require(self, answer: httpx.Response, path: str) -> None:
        if answer.is_error:
            raise ClusterError("the API server refused", where=path, value=answer.text.strip())

    def ready_nodes(self) -> dict[str, bool]:
        """Return each node and whether it is ready."""
        nodes = self.get("/api/v1/nodes")
        return {node["metadata"]["name"]: _is_true(node, "Ready") for node in (nodes or {}).get("items", [])}

    def kubelet_answers(self, node: str) -> bool:
        """Tell whether a node's kubelet is reached, whatever the node's last report says."""
        try:
            return self._client.get(f"/api/v1/nodes/{node}/proxy/healthz").status_code == 200
        except httpx.HTTPError:
            return False

    def metrics_available(self) -> bool:
        """Tell whether the metrics that autoscaling needs are served."""
        service = self.get("/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io")
        return service is not None and _is_true(service, "Available")


def _is_true(resource: dict[str, Any], condition: str) -> bool:
    conditions = resource.get("status", {}).get("conditions", [])
    return any(entry["type"] == condition and entry["status"] == "True" for entry in conditions)


def dns_answers(server: str, name: str, timeout_seconds: float = 0.3) -> bool:
    """Ask a DNS server for a name's IPv4 address and tell whether it gave one (RFC 1035)."""
    number = random.randrange(2**16)  # noqa: S311 - tells answers apart, guards nothing
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split("."))
    header = struct.pack(">6H", number, _RECURSION_DESIRED, 1, 0, 0, 0)
    question = header + labels + b"\0" + struct.pack(">2H", _TYPE_A, _CLASS_IN)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.settimeout(timeout_seconds)
        try:
            connection.sendto(question, (server, 53))
            answer = connection.recv(512)
        except OSError:
            return False
    if len(answer) < len(header):
        return False
    answered, flags, _, answers, *_ = struct.unpack(">6H", answer[: len(header)])
    return bool(answered == number and flags & 0xF == 0 and answers > 0)


def wait(
    what: str, condition: Callable[[], bool], timeout_seconds: float, explain: Callable[[], str | None]
) -> None:
    """Wait until the condition holds.

    explain: says what stands in the way. Raises ClusterError with it when the time is up.
    """
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            raise ClusterError(
                f"{what} after {timeout_seconds:.0f} s",
                value=explain(),
                fix="Look at `groundplan cluster status` and `groundplan cluster logs`, then run it again",
            )
        time.sleep(0.05)
