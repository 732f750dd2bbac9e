"""Finding out what a killed update left behind in the engine's file store: locks and half-done operations."""

import contextlib
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from groundplan.deploy.events import short_name
from groundplan.errors import DeployError

_PATIENCE_SECONDS = 5.0


@dataclass(frozen=True)
class StateLock:
    """A lock on a stack's state, as the engine's file store keeps it."""

    file: Path
    pid: int
    host: str
    since: datetime

    @property
    def holder_is_alive(self) -> bool:
        """Whether the process that took the lock still runs; a newer process with its number doesn't count.

        On another host that can't be seen, and the holder counts as alive.
        """
        if self.host != socket.gethostname():
            return True
        try:
            started = psutil.Process(self.pid).create_time()
        except psutil.NoSuchProcess:
            return False
        return started <= self.since.timestamp() + 1  # clock ticks


def state_locks(state_url: str, stack: str) -> list[StateLock]:
    """Locks on a stack in a file store; stores elsewhere have their own ways and give none."""
    if not state_url.startswith("file://"):
        return []
    root = Path(state_url.removeprefix("file://")).expanduser() / ".pulumi" / "locks"
    return [_read(file) for file in sorted(root.glob(f"**/{stack}/*.json"))]


def _read(file: Path) -> StateLock:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return StateLock(
            file, int(content["pid"]), content["hostname"], datetime.fromisoformat(content["timestamp"])
        )
    except (ValueError, KeyError) as error:
        raise DeployError(
            "The lock on the stack's state can't be read",
            str(file),
            fix="If no update is under way, remove this file.",
        ) from error


def stale_locks(state_url: str, stack: str) -> list[StateLock]:
    """The locks whose process is gone; raises DeployError when one is still held."""
    locks = state_locks(state_url, stack)
    for lock in locks:
        if lock.holder_is_alive:
            raise DeployError(
                f"Another update of the stack is under way, since {lock.since:%Y-%m-%d %H:%M:%S %Z}".rstrip(),
                f"process {lock.pid} on {lock.host}",
                fix="Wait until it ends. To stop it in good order: "
                f"kill -INT {lock.pid}"
                + ("" if lock.host == socket.gethostname() else f" on {lock.host}")
                + ".",
            )
    return locks


def end_orphans(lock: StateLock) -> None:
    """End the providers that a killed engine left at work, so that they create nothing behind the next one.

    They are known by the session that the engine was started in, which is no one else's while one of them
    lives.
    """
    orphans = [process for process in psutil.process_iter() if _session(process.pid) == lock.pid]
    for process in orphans:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(orphans, timeout=_PATIENCE_SECONDS)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def pending_operations(deployment: Mapping[str, Any] | None) -> list[str]:
    """What an interrupted update was doing, from an exported state: `creating Deployment shop`."""
    operations: list[dict[str, Any]] = (deployment or {}).get("pending_operations") or []
    return [f"{operation['type']} {short_name(operation['resource']['urn'])}" for operation in operations]
