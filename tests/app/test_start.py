"""What stops a start, and that its message names the cause."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.app.servers import APP

PLAN = Path(__file__).with_name("plan.yaml")


def start(*command: str, **environment: str | None) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for name, value in environment.items():
        variables.pop(name, None)
        if value is not None:
            variables[name] = value
    return subprocess.run(
        [str(APP / "entrypoint"), *command],
        env=variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("name", "value", "bound"),
    [
        ("DJANGO_SECRET_KEY", None, "is missing"),
        ("DJANGO_SECRET_KEY", "short", "at least 32"),
        ("DATABASE_HOST", None, "is missing"),
        ("DATABASE_PORT", "70000", "from 1 to 65535"),
        ("GUNICORN_WORKERS", "many", "from 1 to 64"),
        ("LOG_LEVEL", "LOUD", "one of DEBUG, INFO"),
        ("DJANGO_SECURE_COOKIES", "maybe", "one of true, false"),
        ("PROMETHEUS_URL", "monitoring:9090", "start with http://"),
        ("PLAN_FILE", "/nowhere/plan.yaml", "can't be read"),
    ],
)
def test_a_wrong_variable_stops_the_start_and_is_named(
    tmp_path: Path, name: str, value: str | None, bound: str
) -> None:
    ended = start("web", **{"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), name: value})
    assert ended.returncode != 0
    assert f"environment variable {name}" in ended.stderr
    assert bound in ended.stderr


def test_a_plan_without_the_web_service_stops_the_start(tmp_path: Path) -> None:
    ended = start("web", PROMETHEUS_MULTIPROC_DIR=str(tmp_path), PLAN_FILE=str(PLAN), PLAN_WEB_SERVICE="web")
    assert ended.returncode != 0
    assert "PLAN_WEB_SERVICE is 'web', must be one of broker, cache, database, edge" in ended.stderr


def test_an_unknown_command_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    ended = start("serve", PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
    assert (ended.returncode, ended.stderr) == (64, "usage: entrypoint web|worker|migrate|seed\n")


def test_an_admin_without_a_password_is_refused(tmp_path: Path, postgres: object) -> None:
    ended = start("seed", PROMETHEUS_MULTIPROC_DIR=str(tmp_path), ADMIN_USERNAME="admin", ADMIN_PASSWORD=None)
    assert ended.returncode != 0
    assert "must be set together" in ended.stderr


def test_replicas_that_migrate_at_once_do_not_disturb_each_other(tmp_path: Path, postgres: object) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    started = [
        subprocess.Popen(
            [str(APP / "entrypoint"), "migrate"],
            env={**environment, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / str(number))},
            stdout=subprocess.DEVNULL,
        )
        for number in range(2)
    ]
    assert [process.wait(timeout=120) for process in started] == [0, 0]
