"""What Worker and Task make of their arguments."""

from typing import Any

import pytest

from groundplan.errors import SpecError
from pulumi_groundplan import Task, Worker
from tests.components.recorder import Declared, arguments, declare


def worker(**args: Any) -> Declared:
    return declare(lambda: Worker("orders", arguments(args)))


def task(**args: Any) -> Declared:
    return declare(lambda: Task("migrate", arguments(args)))


def test_a_worker_is_asked_over_http() -> None:
    declared = worker(health={"path": "/healthz"}, metrics={"port": 9808})
    container = declared.container("Deployment")
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "health"}
    assert container["ports"] == [{"name": "health", "containerPort": 9808, "protocol": "TCP"}]
    metrics = declared.one("Service", "orders-metrics")["spec"]
    assert metrics["publishNotReadyAddresses"] is True
    assert metrics["ports"][0]["targetPort"] == "health"


def test_a_worker_is_asked_by_a_command() -> None:
    declared = worker(health={"command": ["test", "-f", "/tmp/alive"]})
    assert declared.container("Deployment")["livenessProbe"]["exec"]["command"] == [
        "test",
        "-f",
        "/tmp/alive",
    ]
    assert not declared.of("Service")


@pytest.mark.parametrize("health", [{}, {"path": "/healthz", "command": ["true"]}])
def test_a_worker_is_asked_in_exactly_one_way(health: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="health is"):
        worker(health=health)


def test_nobody_but_monitoring_connects_to_a_worker() -> None:
    assert worker(health={"command": ["true"]}).one("NetworkPolicy")["spec"]["ingress"] == []
    (rule,) = worker(health={"path": "/"}, metrics={}).one("NetworkPolicy")["spec"]["ingress"]
    assert rule["from"] == [{"podSelector": {"matchLabels": {"app.kubernetes.io/component": "monitoring"}}}]


def test_a_task_ends_and_is_cleared_away() -> None:
    spec = task(arguments=["migrate"], timeout_seconds=120.0).one("Job")["spec"]
    assert spec["activeDeadlineSeconds"] == 120
    assert spec["ttlSecondsAfterFinished"] == 24 * 3600
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert spec["template"]["spec"]["containers"][0]["args"] == ["migrate"]


def test_a_task_runs_again_only_when_what_runs_changes() -> None:
    def name(**args: Any) -> str:
        return str(task(**args).one("Job")["metadata"]["name"])

    assert name(arguments=["migrate"]) == name(arguments=["migrate"])
    assert name(arguments=["migrate"]) != name(arguments=["seed"])
    assert name(image="registry.test/shop@sha256:" + "b" * 64) != name()
