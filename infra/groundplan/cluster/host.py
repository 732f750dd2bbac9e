"""The supervisor on the host as seen from a command: start it, look at it, end it."""

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundplan.cluster import cgroups
from groundplan.cluster.context import Context
from groundplan.cluster.processes import isolated_python
from groundplan.cluster.state import write_atomically
from groundplan.errors import ClusterError


@dataclass(frozen=True)
class ProcessStatus:
    """One supervised process.

    worker: the worker that it runs in, or None on the host. pid: its number as the host sees it.
    since: when it was started, in seconds since the epoch. state: running, waiting, restarting, stopping.
    """

    name: str
    worker: str | None
    pid: int | None
    state: str
    since: float | None
    restarts: int
    last_exit: str | None
    waiting_for: str | None
    log: Path


def supervisor(context: Context) -> int | None:
    """Return the number of the supervisor's process, or None where it doesn't run."""
    record = _read(context.paths.supervisor)
    if record is None or identity(record["pid"]) != record["identity"]:
        return None
    return int(record["pid"])


def identity(pid: int) -> str | None:
    """Return what tells a process from any other that had or gets its number; None when it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name, in parentheses, may hold anything; state is field 3, start since boot in ticks field 22.
    fields = stat.rpartition(")")[2].split()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return None if fields[0] in "ZX" else f"{boot} {fields[19]}"


def start_supervisor(context: Context) -> None:
    """Start the supervisor if it doesn't run.

    Raises ClusterError when it ends at once.
    """
    if supervisor(context) is not None:
        return
    context.paths.status.unlink(missing_ok=True)
    log = context.paths.logs / "supervisor.log"
    with log.open("ab") as out:
        subprocess.run(
            isolated_python(context.paths.root / "supervisor.py", "--daemon", str(context.paths.processes)),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            check=True,
        )
    deadline = time.monotonic() + 10
    while (record := _read(context.paths.status)) is None:
        if time.monotonic() > deadline:
            raise ClusterError(
                "the supervisor did not start",
                where=str(log),
                value="\n".join(log.read_text().splitlines()[-5:]),
            )
        time.sleep(0.01)
    kept = {"pid": record["pid"], "identity": identity(record["pid"])}
    write_atomically(context.paths.supervisor, json.dumps(kept))


def tell_supervisor(context: Context) -> None:
    """Make the supervisor look at its list now, rather than within half a second."""
    pid = supervisor(context)
    if pid is not None:
        os.kill(pid, signal.SIGHUP)


def end_everything(context: Context) -> None:
    """Kill the supervisor first, so that nothing is restarted, then all else that is the cluster's."""
    pid = supervisor(context)
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
    cgroups.kill(context.cgroup)


def process_statuses(context: Context) -> list[ProcessStatus]:
    """Return the host's processes and then those of each worker."""
    alive = supervisor(context) is not None
    result = _statuses(context.paths.status, None, {}, alive=alive)
    for number in context.state.workers:
        name = f"worker-{number}"
        running = alive and any(entry.name == name and entry.pid for entry in result)
        numbers = _host_numbers(f"{context.cgroup}/{name}/system") if running else {}
        result += _statuses(context.paths.worker(number) / "status.json", name, numbers, alive=running)
    return result


def init_pid(context: Context, number: int) -> int | None:
    """Return the number of a worker's first process as the host sees it."""
    return _host_numbers(f"{context.cgroup}/worker-{number}/system").get(1)


def _statuses(path: Path, worker: str | None, numbers: dict[int, int], *, alive: bool) -> list[ProcessStatus]:
    record = _read(path) or {"processes": {}}
    result = []
    for name, entry in record["processes"].items():
        pid = numbers.get(entry["pid"]) if worker else entry["pid"]
        result.append(
            ProcessStatus(
                name=name,
                worker=worker,
                pid=pid if alive else None,
                state=entry["state"] if alive else "stopped",
                since=entry["since"] if alive else None,
                restarts=entry["restarts"],
                last_exit=entry["last_exit"],
                waiting_for=entry["waiting_for"],
                log=Path(entry["log"]),
            )
        )
    return result


def _host_numbers(group: str) -> dict[int, int]:
    """Return, for the processes of a group, their number in their own namespace and on the host."""
    numbers = {}
    for pid in cgroups.processes(group):
        try:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        except OSError:  # it has just ended
            continue
        own = next(line.split() for line in lines if line.startswith("NSpid:"))
        numbers[int(own[-1])] = pid
    return numbers


def _read(path: Path) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return record
