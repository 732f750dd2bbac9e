import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from groundplan.cluster import EmbeddedCluster
from groundplan.deploy.pods import Json, core_api, is_well, reason, troubled_pods, why_not_ready
from tests.conftest import Kubectl


def pod(
    *containers: Json, phase: str = "Pending", conditions: Sequence[Mapping[str, str]] = ()
) -> dict[str, Any]:
    return {
        "metadata": {"name": "shop", "namespace": "small"},
        "status": {"phase": phase, "containerStatuses": list(containers), "conditions": list(conditions)},
    }


def container(state: Json, last: Json | None = None, ready: bool = False) -> Json:
    return {"name": "web", "ready": ready, "state": state, "lastState": last or {}}


CRASHED = {"terminated": {"exitCode": 3, "reason": "Error"}}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (
            pod(container({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}})),
            "ImagePullBackOff in container web: no such image",
        ),
        (
            pod(container({"waiting": {"reason": "CrashLoopBackOff"}}, CRASHED)),
            "CrashLoopBackOff in container web, which ended with code 3 (Error)",
        ),
        (pod(container(CRASHED)), "container web ended with code 3 (Error)"),
        (
            pod(
                conditions=[
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "reason": "Unschedulable",
                        "message": "0/2 nodes are available: 2 Insufficient cpu.",
                    }
                ]
            ),
            "not scheduled, Unschedulable: 0/2 nodes are available: 2 Insufficient cpu.",
        ),
        (
            pod(
                container({"running": {}}),
                phase="Running",
                conditions=[{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}],
            ),
            "not ready, ContainersNotReady: a readiness probe fails",
        ),
        (pod(phase="Failed"), "Failed, no reason given"),
    ],
)
def test_the_reason_is_the_one_that_helps(found: Json, expected: str) -> None:
    assert reason(found) == expected
    assert not is_well(found)


def test_ready_finished_and_leaving_pods_are_well() -> None:
    assert is_well(pod(phase="Running", conditions=[{"type": "Ready", "status": "True"}]))
    assert is_well(pod(phase="Succeeded"))
    leaving = pod(phase="Running")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert is_well(leaving)


def test_a_cluster_that_does_not_answer_says_so(tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(
        "{apiVersion: v1, kind: Config, current-context: x, users: [{name: x, user: {}}],"
        " clusters: [{name: x, cluster: {server: 'http://127.0.0.1:1'}}],"
        " contexts: [{name: x, context: {cluster: x, user: x}}]}"
    )
    (line,) = why_not_ready(file, None, ["small"])
    assert line.startswith("The cluster doesn't tell why")
    (line,) = why_not_ready(tmp_path / "none", None, ["small"])
    assert "ConfigException" in line


POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  containers:
    - name: main
      image: {image}
      command: [sh, -c, "echo the password is missing; exit 3"]
"""


@pytest.mark.e2e
def test_pods_that_never_get_ready_tell_their_reason_events_and_last_lines(
    cluster: EmbeddedCluster, kubectl: Kubectl, namespace: str, shell_image: str
) -> None:
    absent = f"{cluster.registry}/absent@sha256:{'0' * 64}"
    kubectl("apply", "-n", namespace, "-f", "-", manifest=POD.format(name="crashes", image=shell_image))
    kubectl("apply", "-n", namespace, "-f", "-", manifest=POD.format(name="absent", image=absent))
    api = core_api(cluster.kubeconfig, cluster.context)
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        # A crashing pod without a readiness probe counts as ready for the moment that it runs.
        found = {trouble.pod: trouble for trouble in troubled_pods(api, [namespace])}
        reasons = {name: trouble.reason for name, trouble in found.items()}
        if "ended with code 3" in reasons.get("crashes", "") and "Image" in reasons.get("absent", ""):
            break
        time.sleep(1)
    assert "ended with code 3" in found["crashes"].reason
    assert found["crashes"].log[-1] == "the password is missing"
    assert "ImagePull" in found["absent"].reason
    assert any("absent" in event for event in found["absent"].events)
    assert "log: the password is missing" in str(found["crashes"])
