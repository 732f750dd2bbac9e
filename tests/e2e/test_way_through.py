"""`groundplan up` on a cluster of its own: refused when a promise can't hold, deployed, measured, removed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundplan.cluster import snapshot
from groundplan.cluster.context import Paths
from groundplan.toolchain import home

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.engine,
    pytest.mark.skipif(os.geteuid() != 0, reason="the embedded cluster needs root"),
]
CLUSTER = "way"
REPOSITORY = Path(__file__).parents[2]
COMMAND = Path(sys.prefix) / "bin" / "groundplan"
# What each broken copy of the stack changes in a file, and the rule that must refuse it.
BROKEN = {
    "a budget below the cost": (
        "stacks/ecommerce.yaml",
        "amount_per_month: 60",
        "amount_per_month: 1",
        "budget",
    ),
    "a p95 that can't be reached": ("stacks/ecommerce.yaml", "p95: 300ms", "p95: 2ms", "response-time"),
    "more nines than two nodes give": (
        "stacks/ecommerce.yaml",
        "p99: 700ms, availability: 0.995",
        "p99: 700ms, availability: 0.99999",
        "availability",
    ),
}


def groundplan(*words: str, project: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *words, "--cluster", CLUSTER, "--project", project],
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )


def copy_of_the_project(folder: Path, file: str, old: str, new: str) -> Path:
    """A copy in which one file says something else."""
    for part in (
        "Pulumi.yaml",
        "Pulumi.ecommerce.yaml",
        "pyproject.toml",
        "stacks",
        "policy",
        "app",
        "infra",
    ):
        source = REPOSITORY / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__", "modules"))
        else:
            shutil.copyfile(source, folder / part)
    (folder / ".venv").symlink_to(sys.prefix)
    path = folder / file
    text = path.read_text()
    assert text.count(old) == 1, f"{file} says {old!r} {text.count(old)} times"
    path.write_text(text.replace(old, new))
    return folder


@pytest.fixture(scope="module")
def machine_before() -> Iterator[snapshot.Snapshot]:
    """The machine before the first test of this module; the cluster is gone after the last one."""
    subprocess.run([COMMAND, "down", "--cluster", CLUSTER, "--project", REPOSITORY], check=True, timeout=300)
    yield snapshot.take(Paths(CLUSTER))
    subprocess.run([COMMAND, "down", "--cluster", CLUSTER, "--project", REPOSITORY], check=True, timeout=300)


@pytest.fixture(scope="module")
def deployed(machine_before: snapshot.Snapshot) -> subprocess.CompletedProcess[str]:
    """The stack, deployed by a command that was killed in mid-update and run again."""
    first = subprocess.Popen(
        [COMMAND, "up", "--cluster", CLUSTER, "--project", REPOSITORY],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert first.stderr is not None
    for line in first.stderr:
        if "Deploy ecommerce:" in line:
            break
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    time.sleep(2)  # as long as a person takes at least
    return groundplan("up")


def test_what_was_killed_goes_on_and_every_promise_is_reported(
    deployed: subprocess.CompletedProcess[str],
) -> None:
    assert deployed.returncode == 0, deployed.stderr
    assert "promises hold" in deployed.stdout
    report = json.loads((home() / "reports" / CLUSTER / "ecommerce" / "report.json").read_text())
    measured = {service["name"]: service for service in report["services"]}
    assert {"edge", "shop", "orders", "cache", "broker", "database", "monitoring"} == set(measured)
    assert report["addresses"]["address"].startswith("http://172.30.")
    assert (home() / "reports" / CLUSTER / "ecommerce" / "report.html").stat().st_size > 10_000


def test_a_second_run_changes_nothing(deployed: subprocess.CompletedProcess[str]) -> None:
    second = groundplan("up")
    assert second.returncode == 0, second.stderr
    assert "Preview of ecommerce" in second.stderr
    assert "Deploy ecommerce" not in second.stderr
    assert "Load on" not in second.stderr


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_copy_of_the_stack_is_refused_before_anything_changes(
    case: str, deployed: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    file, old, new, rule = BROKEN[case]
    refused = groundplan("up", project=copy_of_the_project(tmp_path, file, old, new))
    assert refused.returncode == 1, refused.stdout
    assert rule in refused.stderr
    assert "Deploy ecommerce" not in refused.stderr


def test_what_never_gets_ready_is_told_with_its_reason_and_last_lines(
    deployed: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    project = copy_of_the_project(
        tmp_path, "stacks/ecommerce.py", '"arguments": [command]', '"arguments": ["no-such-command"]'
    )
    failed = groundplan("up", project=project)
    assert failed.returncode == 1
    assert "migrate" in failed.stderr
    assert "usage: entrypoint web|worker|migrate|seed" in failed.stderr  # its last line


def test_nothing_is_left_when_it_is_taken_down_with_its_pods_running(
    deployed: subprocess.CompletedProcess[str], machine_before: snapshot.Snapshot
) -> None:
    removed = groundplan("down")
    assert removed.returncode == 0, removed.stderr
    assert machine_before.differences(snapshot.take(Paths(CLUSTER))) == {}
