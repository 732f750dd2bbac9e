"""Keeps a list of processes alive: the host's part of a cluster, and as PID 1 everything in a worker.

It is run by path with an isolated interpreter (`python -I -S supervisor.py [--daemon] FILE`), so that it
starts in milliseconds and stays small; therefore it imports nothing but the standard library.

FILE is JSON: `status` (where the state is written), `cgroup_procs` (files that this process writes itself
into), `prepare` (steps that run once, in order, before anything starts) and `processes`. A changed
FILE is read again: new processes start, dropped ones stop, and changed ones are restarted.
"""

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LARGEST_LOG_BYTES = 16 * 2**20
FIRST_DELAY_SECONDS = 0.2
LONGEST_DELAY_SECONDS = 10.0
# A process that ran this long has recovered: its next failure is the first again.
SETTLED_SECONDS = 20.0
SIGNALS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGINT}


@dataclass
class Child:
    """One process of the list."""

    spec: dict[str, Any]
    pid: int | None = None
    since: float = 0.0
    restarts: int = -1
    failures: int = 0
    last_exit: str | None = None
    start_at: float = 0.0
    waiting_for: str | None = None
    kill_at: float | None = None
    dropped: bool = False
    next_spec: dict[str, Any] | None = field(default=None)

    @property
    def state(self) -> str:
        if self.pid is not None:
            return "stopping" if self.kill_at is not None else "running"
        return "waiting" if self.waiting_for else "restarting"


def reachable(address: str) -> bool:
    """Tell whether `file:PATH` is there, or `unix:PATH` or `tcp:HOST:PORT` accepts connections."""
    kind, _, rest = address.partition(":")
    if kind == "file":
        return Path(rest).exists()
    try:
        if kind == "unix":
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(0.2)
                connection.connect(rest)
        else:
            host, _, port = rest.rpartition(":")
            socket.create_connection((host, int(port)), timeout=0.2).close()
    except OSError:
        return False
    return True


def describe_exit(status: int) -> str:
    """Put a wait status into words."""
    if os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"exit code {os.WEXITSTATUS(status)}"


def prepare(steps: list[dict[str, Any]]) -> None:
    """Run the steps: {"run": [...], "may_fail": bool}, {"write": [path, text]} or {"empty": folder}.

    The last removes all folders below a control group.
    Raises CalledProcessError or OSError when one fails that must not.
    """
    for step in steps:
        if "write" in step:
            path, text = step["write"]
            Path(path).write_text(text)
        elif "empty" in step:
            for folder, below, _ in os.walk(step["empty"], topdown=False):
                for name in below:
                    Path(folder, name).rmdir()
        else:
            command = [os.path.expandvars(word) for word in step["run"]]
            quiet = subprocess.DEVNULL if step.get("may_fail") else None
            subprocess.run(command, check=not step.get("may_fail"), stderr=quiet)


class Supervisor:
    """Runs the processes that one file lists."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.config: dict[str, Any] = {}
        self.version: tuple[int, int] | None = None
        self.children: dict[str, Child] = {}
        self.written: str | None = None
        self.stopping = False
        self.look_at_logs_at = 0.0

    def reload(self) -> None:
        """Read the file again if it has changed."""
        facts = self.file.stat()
        version = (facts.st_ino, facts.st_mtime_ns)
        if version == self.version:
            return
        self.version = version
        self.config = json.loads(self.file.read_text())
        wanted = {spec["name"]: spec for spec in self.config["processes"]}
        for name, child in self.children.items():
            if name not in wanted:
                child.dropped = True
                self.stop(child)
            elif wanted[name] != child.spec or child.dropped:
                child.dropped = False
                child.next_spec = wanted[name]
                self.stop(child)
        for name, spec in wanted.items():
            if name not in self.children:
                self.children[name] = Child(spec)
        self.forget_stopped()

    def stop(self, child: Child) -> None:
        """Ask a process to end; it is killed when its time is up."""
        if child.pid is None or child.kill_at is not None:
            return
        grace = child.spec["stop_seconds"]
        child.kill_at = time.monotonic() + grace
        os.kill(child.pid, signal.SIGTERM if grace else signal.SIGKILL)

    def forget_stopped(self) -> None:
        """Drop what has ended and is no longer wanted, and take over changed specs."""
        for name, child in list(self.children.items()):
            if child.pid is not None:
                continue
            if child.dropped:
                del self.children[name]
            elif child.next_spec is not None:
                child.spec, child.next_spec = child.next_spec, None
                child.start_at, child.failures = 0.0, 0

    def start_what_is_due(self) -> None:
        now = time.monotonic()
        for child in self.children.values():
            if child.pid is not None or child.start_at > now:
                continue
            waits = (address for address in child.spec["waits_for"] if not reachable(address))
            child.waiting_for = next(waits, None)
            if child.waiting_for is None:
                self.start(child)

    def start(self, child: Child) -> None:
        spec = child.spec
        log_flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        try:
            child.pid = os.posix_spawn(
                spec["argv"][0],
                spec["argv"],
                spec["env"] | {"GROUNDPLAN_SUPERVISOR": str(os.getpid())},
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, spec["log"], log_flags, 0o600),
                    (os.POSIX_SPAWN_DUP2, 1, 2),
                ],
                setsid=True,
                setsigmask=(),
                setsigdef=SIGNALS,
            )
        except OSError as error:
            child.last_exit = f"did not start: {error}"
            self.back_off(child)
            return
        child.since = time.time()
        child.restarts += 1

    def back_off(self, child: Child) -> None:
        delay = min(FIRST_DELAY_SECONDS * 2**child.failures, LONGEST_DELAY_SECONDS)
        child.failures = min(child.failures + 1, 10)
        child.start_at = time.monotonic() + delay

    def reap(self) -> None:
        """Take note of every process that has ended; as PID 1 that includes orphans."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for child in self.children.values():
                if child.pid == pid:
                    child.pid, child.kill_at = None, None
                    child.last_exit = describe_exit(status)
                    if time.time() - child.since > SETTLED_SECONDS:
                        child.failures = 0
                    self.back_off(child)

    def kill_overdue(self) -> None:
        now = time.monotonic()
        for child in self.children.values():
            if child.pid is not None and child.kill_at is not None and now >= child.kill_at:
                os.kill(child.pid, signal.SIGKILL)
                child.kill_at = now + 1.0

    def shorten_logs(self) -> None:
        """Keep each log, and one older part of it, within bounds."""
        if time.monotonic() < self.look_at_logs_at:
            return
        self.look_at_logs_at = time.monotonic() + 30
        for child in self.children.values():
            log = Path(child.spec["log"])
            if log.exists() and log.stat().st_size > LARGEST_LOG_BYTES:
                shutil.copyfile(log, log.with_suffix(".log.1"))
                os.truncate(log, 0)

    def write_status(self) -> None:
        processes = {
            name: {
                "pid": child.pid,
                "state": child.state,
                "since": child.since if child.pid else None,
                "restarts": max(child.restarts, 0),
                "last_exit": child.last_exit,
                "waiting_for": child.waiting_for,
                "log": child.spec["log"],
            }
            for name, child in self.children.items()
        }
        text = json.dumps({"pid": os.getpid(), "processes": processes}, indent=1)
        if text == self.written:
            return
        status = Path(self.config["status"])
        fresh = status.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(status)
        self.written = text

    def tend(self) -> None:
        """Do everything that is due now."""
        self.reap()
        self.kill_overdue()
        self.forget_stopped()
        if not self.stopping:
            self.reload()
            self.start_what_is_due()
        self.write_status()
        self.shorten_logs()

    def begin_stop(self) -> None:
        self.stopping = True
        for child in self.children.values():
            child.dropped = True
            self.stop(child)

    def run(self) -> None:
        """Run until SIGTERM or SIGINT, then stop everything."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        self.reload()
        for procs in self.config["cgroup_procs"]:
            Path(procs).write_text("0")
        _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
        prepare(self.config["prepare"])
        while not (self.stopping and not self.children):
            try:
                self.tend()
            except OSError as error:
                # A full disk must not end what still runs; what could not be written is tried again.
                print(f"supervisor: {error}", file=sys.stderr, flush=True)
            settled = all(child.state == "running" for child in self.children.values())
            received = signal.sigtimedwait(SIGNALS, 0.5 if settled else 0.05)
            if received is not None and received.si_signo in (signal.SIGTERM, signal.SIGINT):
                self.begin_stop()


def main() -> None:
    *options, file = sys.argv[1:]
    if options == ["--daemon"]:
        if os.fork():
            os._exit(0)
        os.setsid()
        if os.fork():
            os._exit(0)
        os.chdir("/")
    Supervisor(Path(file)).run()


if __name__ == "__main__":
    main()
