"""Control groups of the machine itself, and the hierarchy of version 2 where both versions are mounted."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundplan.cluster import cgroups

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
GROUP = "groundplan-unittest"
HYBRID = Path("/sys/fs/cgroup/unified")


@pytest.fixture(params=["as mounted", "version 2"])
def group(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "version 2":
        if HYBRID.exists():
            monkeypatch.setattr(cgroups, "_ROOT", HYBRID)
            monkeypatch.setattr(cgroups, "NEEDED", ())  # version 1 holds these controllers here
        if cgroups.version() != 2:
            pytest.skip("version 2 is not mounted")
    cgroups.create(f"{GROUP}/system")
    yield GROUP
    cgroups.kill(GROUP)
    cgroups.remove(GROUP)


def _join(group: str) -> subprocess.Popen[bytes]:
    joins = "; ".join(f"echo 0 > {file}" for file in cgroups.procs_files(f"{group}/system"))
    process = subprocess.Popen(
        ["/bin/sh", "-c", f"{joins}; echo in; exec sleep 1000"], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"in\n"
    return process


def test_making_a_group_twice_is_making_it_once(group: str) -> None:
    cgroups.create(f"{group}/system")
    assert all((root / group / "system").is_dir() for root in cgroups.hierarchies())


def test_a_group_knows_its_processes_and_ends_them_and_no_others(group: str) -> None:
    inside = _join(group)
    outside = subprocess.Popen(["sleep", "1000"])
    try:
        assert cgroups.processes(group) == {inside.pid}
        cgroups.kill(group)
        assert inside.wait(timeout=5) == -9
        assert outside.poll() is None
    finally:
        outside.kill()
        outside.wait()


def test_a_process_that_left_the_group_is_not_killed_by_its_number(group: str) -> None:
    outside = subprocess.Popen(["sleep", "1000"])
    try:
        cgroups._signal_member(outside.pid, group)
        assert outside.poll() is None
    finally:
        outside.kill()
        outside.wait()


def test_nothing_is_left_of_a_group_that_was_removed(group: str) -> None:
    cgroups.create(f"{group}/worker/pods/inner")
    cgroups.remove(group)
    assert not any((root / group).exists() for root in cgroups.hierarchies())


def test_all_that_a_cluster_needs_is_there() -> None:
    assert set(cgroups.NEEDED) <= cgroups.controllers()
