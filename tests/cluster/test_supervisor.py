"""The supervisor, run as it is run in a cluster, over real processes."""

import itertools
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from groundplan.cluster.processes import isolated_python, packaged_script
from groundplan.cluster.supervisor import describe_exit, reachable


def _process(name: str, folder: Path, script: str, **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "argv": ["/bin/sh", "-c", script],
        "env": {"PATH": os.environ["PATH"]},
        "log": str(folder / f"{name}.log"),
        "waits_for": [],
        "stop_seconds": 2,
        **changes,
    }


class Supervised:
    """A supervisor under test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "processes.json"
        self.process: subprocess.Popen[bytes] | None = None

    def list(self, *processes: dict[str, Any], prepare: tuple[dict[str, Any], ...] = ()) -> None:
        document = {
            "status": str(self.folder / "status.json"),
            "cgroup_procs": [],
            "prepare": prepare,
            "processes": processes,
        }
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps(document))
        fresh.replace(self.file)
        if self.process:
            self.process.send_signal(signal.SIGHUP)

    def start(self) -> None:
        log = (self.folder / "supervisor.log").open("wb")
        self.process = subprocess.Popen(
            isolated_python(packaged_script("supervisor.py"), str(self.file)), stderr=log
        )

    def status(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.folder / "status.json").read_text())["processes"]
        except FileNotFoundError:
            return {}
        return found

    def wait(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + 15
        while not holds(self.status()):
            assert time.monotonic() < deadline, self.status()
            time.sleep(0.02)
        return self.status()

    def running(self, name: str) -> int:
        status = self.wait(lambda found: found.get(name, {}).get("state") == "running")
        return int(status[name]["pid"])


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    made = Supervised(tmp_path)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.terminate()
        made.process.wait(timeout=15)


def test_a_process_that_was_killed_is_restarted(supervised: Supervised, tmp_path: Path) -> None:
    supervised.list(_process("a", tmp_path, "exec sleep 1000"))
    supervised.start()
    first = supervised.running("a")
    os.kill(first, signal.SIGKILL)
    status = supervised.wait(lambda found: found["a"]["restarts"] == 1 and found["a"]["state"] == "running")
    assert status["a"]["pid"] != first
    assert status["a"]["last_exit"] == "killed by SIGKILL"


def test_a_process_that_keeps_failing_is_restarted_ever_more_slowly(
    supervised: Supervised, tmp_path: Path
) -> None:
    supervised.list(_process("a", tmp_path, "date +%s.%N; exit 3"))
    supervised.start()
    status = supervised.wait(lambda found: found.get("a", {}).get("restarts", 0) >= 5)
    assert status["a"]["last_exit"] == "exit code 3"
    starts = [float(line) for line in (tmp_path / "a.log").read_text().split()]
    pauses = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert pauses[3] > 2 * pauses[0]


def test_a_process_waits_for_what_it_needs(supervised: Supervised, tmp_path: Path) -> None:
    needed = tmp_path / "socket"
    supervised.list(_process("a", tmp_path, "exec sleep 1000", waits_for=[f"unix:{needed}"]))
    supervised.start()
    status = supervised.wait(lambda found: "a" in found)
    assert (status["a"]["state"], status["a"]["waiting_for"]) == ("waiting", f"unix:{needed}")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(needed))
        server.listen()
        assert supervised.running("a")


def test_a_changed_list_starts_stops_and_restarts_just_what_changed(
    supervised: Supervised, tmp_path: Path
) -> None:
    kept = _process("kept", tmp_path, "exec sleep 1000")
    changed = _process("changed", tmp_path, "exec sleep 1000")
    supervised.list(kept, changed, _process("dropped", tmp_path, "exec sleep 1000"))
    supervised.start()
    pids = {name: supervised.running(name) for name in ("kept", "changed", "dropped")}
    supervised.list(kept, {**changed, "files": "other"}, _process("new", tmp_path, "exec sleep 1000"))
    supervised.wait(lambda found: "dropped" not in found and "new" in found)
    assert supervised.running("new")
    supervised.wait(lambda found: found["changed"]["pid"] not in (None, pids["changed"]))
    assert supervised.running("kept") == pids["kept"]
    assert not Path(f"/proc/{pids['dropped']}").exists()


def test_a_process_that_ignores_the_request_to_end_is_killed_when_its_time_is_up(
    supervised: Supervised, tmp_path: Path
) -> None:
    supervised.list(_process("a", tmp_path, "trap '' TERM; while :; do sleep 1; done", stop_seconds=0.3))
    supervised.start()
    pid = supervised.running("a")
    supervised.list()
    supervised.wait(lambda found: "a" not in found)
    assert not Path(f"/proc/{pid}").exists()


def test_the_supervisor_ends_its_processes_before_itself(supervised: Supervised, tmp_path: Path) -> None:
    supervised.list(_process("a", tmp_path, "exec sleep 1000"), _process("b", tmp_path, "exec sleep 1000"))
    supervised.start()
    pids = [supervised.running("a"), supervised.running("b")]
    assert supervised.process is not None
    supervised.process.terminate()
    assert supervised.process.wait(timeout=10) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_a_program_that_is_not_there_is_told_and_tried_again(supervised: Supervised, tmp_path: Path) -> None:
    program = tmp_path / "program"
    supervised.list(_process("a", tmp_path, "", argv=[str(program)]))
    supervised.start()
    supervised.wait(lambda found: "No such file" in (found.get("a", {}).get("last_exit") or ""))
    program.write_text("#!/bin/sh\nexec sleep 1000\n")
    program.chmod(0o755)
    assert supervised.running("a")


def test_a_step_of_preparation_that_fails_ends_the_supervisor_unless_it_may(
    supervised: Supervised, tmp_path: Path
) -> None:
    written = {"write": [str(tmp_path / "written"), "text"]}
    supervised.list(prepare=({"run": ["false"], "may_fail": True}, written, {"run": ["false"]}))
    supervised.start()
    assert supervised.process is not None
    assert supervised.process.wait(timeout=10) != 0
    assert (tmp_path / "written").read_text() == "text"


def test_killing_the_first_process_of_a_namespace_ends_all_that_is_in_it(
    supervised: Supervised, tmp_path: Path
) -> None:
    marker = f"{1000 + os.getpid()}.25"
    supervised.list(_process("a", tmp_path, f"setsid sleep {marker} & exec sleep {marker}"))
    command = ["unshare", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc"]
    outer = subprocess.Popen(
        [*command, *isolated_python(packaged_script("supervisor.py"), str(supervised.file))]
    )
    try:
        supervised.running("a")
        assert len(_sleeping(marker)) == 2
    finally:
        outer.kill()
        outer.wait()
    deadline = time.monotonic() + 5
    while _sleeping(marker):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _sleeping(marker: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_text().split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if words[:2] == ["sleep", marker]:
            found.append(path.parent.name)
    return found


def test_an_address_is_reachable_when_something_listens_there(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert reachable(f"tcp:127.0.0.1:{port}")
    assert not reachable(f"tcp:127.0.0.1:{port}")
    assert not reachable(f"file:{tmp_path}/file")
    (tmp_path / "file").touch()
    assert reachable(f"file:{tmp_path}/file")


def test_an_exit_is_put_into_words() -> None:
    assert describe_exit(signal.SIGKILL) == "killed by SIGKILL"
    assert describe_exit(3 << 8) == "exit code 3"
