"""A cluster of one worker that is interrupted, changed, crashed and removed."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from groundplan.cluster import ClusterConfig, cgroups, down, host, snapshot, status, up
from groundplan.cluster.context import Context, Paths
from groundplan.cluster.embedded import require
from groundplan.errors import ClusterError
from groundplan.progress import Step
from groundplan.toolchain import ensure

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.geteuid() != 0, reason="the embedded cluster needs root"),
]
NAME = "again"


@pytest.fixture
def absent() -> Iterator[None]:
    """No cluster of that name before and after."""
    down(NAME)
    yield
    down(NAME)


def _serves(workers: int) -> bool:
    found = status(NAME)
    return found.api and found.dns and len(found.nodes) == workers and all(node.ready for node in found.nodes)


def _kubectl(*words: str) -> str:
    command = [str(ensure("kubectl")["kubectl"]), f"--kubeconfig={Paths(NAME).kubeconfig}", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _crash(context: Context) -> None:
    """End everything at once, as a machine does that loses its power."""
    host.end_everything(context)
    cgroups.remove(context.cgroup)
    for link in (context.bridge, context.link(1), context.link(2)):
        subprocess.run(["ip", "link", "delete", link], capture_output=True, check=False)


def test_down_leaves_the_machine_as_it_was_even_with_pods_running(absent: None) -> None:
    before = snapshot.take(Paths(NAME))
    up(ClusterConfig(NAME, workers=1))
    during = snapshot.take(Paths(NAME)).things
    # What is compared is able to see a cluster at all.
    for kind in ("processes", "network namespaces", "links", "addresses", "routes", "firewall",
                 "control groups", "listening"):  # fmt: skip
        assert during[kind] - before.things[kind], kind
    assert _kubectl("get", "pods", "-A", "--no-headers")
    down(NAME)
    assert before.differences(snapshot.take(Paths(NAME))) == {}
    assert not Paths(NAME).root.exists()
    assert not status(NAME).exists


def test_state_survives_a_crash_of_the_machine(absent: None) -> None:
    up(ClusterConfig(NAME, workers=1))
    _kubectl("create", "configmap", "remembered", "--from-literal=key=value")
    _crash(require(NAME))
    assert not status(NAME).running
    up(ClusterConfig(NAME))
    assert _kubectl("get", "configmap", "remembered", "-o", "jsonpath={.data.key}") == "value"
    assert _serves(1)


@pytest.mark.parametrize("after_seconds", [0.8, 2.0, 3.5, 5.0])
def test_up_goes_on_after_it_was_killed_at_any_point(absent: None, after_seconds: float) -> None:
    script = f"from groundplan.cluster import ClusterConfig, up; up(ClusterConfig({NAME!r}, workers=1))"
    first = subprocess.Popen([sys.executable, "-c", script])
    with contextlib.suppress(subprocess.TimeoutExpired):
        first.wait(timeout=after_seconds)
    first.kill()
    first.wait()
    up(ClusterConfig(NAME))
    assert _serves(1) or _serves(2)  # it may have been killed before the number of workers was settled


def test_workers_are_added_and_removed_while_the_cluster_runs(absent: None) -> None:
    up(ClusterConfig(NAME, workers=1))
    scheduler = next(p.pid for p in status(NAME).processes if p.name == "kube-scheduler")
    up(ClusterConfig(NAME, workers=2))
    assert _serves(2)
    up(ClusterConfig(NAME, workers=1))
    assert _serves(1)
    assert _kubectl("get", "nodes", "-o", "name").split() == ["node/worker-1"]
    assert next(p.pid for p in status(NAME).processes if p.name == "kube-scheduler") == scheduler
    assert not Path("/sys/class/net", f"gp-{NAME}-2").exists()
    assert not Paths(NAME).worker(2).exists()
    assert cgroups.processes(f"groundplan-{NAME}/worker-2") == set()


def test_a_supervisor_that_was_killed_is_replaced_by_the_next_up(absent: None) -> None:
    up(ClusterConfig(NAME, workers=1))
    pid = host.supervisor(require(NAME))
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    up(ClusterConfig(NAME))
    assert _serves(1)
    assert host.supervisor(require(NAME)) not in (None, pid)


def test_a_record_of_a_process_number_that_someone_else_has_now_is_not_believed(absent: None) -> None:
    up(ClusterConfig(NAME, workers=1))
    context = require(NAME)
    record = context.paths.supervisor.read_text()
    context.paths.supervisor.write_text(record.replace(str(host.supervisor(context)), str(os.getpid()), 1))
    assert host.supervisor(context) is None
    down(NAME)  # and this process is still here to tell


def test_a_port_that_is_taken_is_told_before_anything_is_started(absent: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ClusterError, match=f"{port}.*process {os.getpid()}"):
            up(ClusterConfig(NAME, workers=1, registry_port=port))
    assert not status(NAME).running


class _Titles:
    """Keeps the titles of the steps that are shown."""

    def __init__(self) -> None:
        self.titles: list[str] = []

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[Step]:
        self.titles.append(title)

        class Silent:
            update: Callable[..., None] = staticmethod(lambda text, fraction=None: None)

        yield Silent()


def test_a_second_command_waits_for_the_first_and_says_so(absent: None) -> None:
    shown = _Titles()
    lock = FileLock(Paths(NAME).lock)
    with lock:
        second = threading.Thread(target=down, args=(NAME, shown))
        second.start()
        deadline = time.monotonic() + 10
        while not shown.titles:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert second.is_alive()
    second.join(timeout=20)
    assert "Waiting for another command" in shown.titles[0]
    assert not second.is_alive()


def test_a_damaged_state_is_told_and_down_removes_the_cluster_all_the_same(absent: None) -> None:
    up(ClusterConfig(NAME, workers=1))
    Paths(NAME).state.write_text("{")
    with pytest.raises(ClusterError, match="cluster down"):
        up(ClusterConfig(NAME))
    down(NAME)
    assert not Path("/sys/class/net", f"gp-{NAME}").exists()
    assert cgroups.processes(f"groundplan-{NAME}") == set()
