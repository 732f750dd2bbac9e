"""The cluster's own control groups, in version 1 or 2: they tell which processes are the cluster's."""

import os
import signal
import time
from pathlib import Path

from groundplan.errors import ClusterError

NEEDED = ("cpu", "cpuset", "memory", "pids")
_ROOT = Path("/sys/fs/cgroup")


def version() -> int:
    """Return 2 on a unified hierarchy, else 1."""
    return 2 if (_ROOT / "cgroup.controllers").exists() else 1


def hierarchies() -> list[Path]:
    """Return the roots below which each group has to exist: one in version 2, one per mount in version 1.

    Beside version 1 there may be a version 2 without controllers, which runc uses all the same.
    """
    if version() == 2:
        return [_ROOT]
    mounts = (line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return [Path(fields[4]) for fields in mounts if fields[fields.index("-") + 1] in ("cgroup", "cgroup2")]


def controllers() -> set[str]:
    """Return the controllers that can be used."""
    if version() == 2:
        return set((_ROOT / "cgroup.controllers").read_text().split())
    return {name for path in hierarchies() for name in path.name.split(",")}


def create(group: str) -> None:
    """Create a group, given by its path below the root, so that processes and pods can be put into it.

    Raises ClusterError when the machine doesn't let its controllers be handed down.
    """
    for root in hierarchies():
        path = root
        for part in Path(group).parts:
            if version() == 2:
                _hand_down(path)
            parent, path = path, path / part
            path.mkdir(exist_ok=True)
            if (path / "cpuset.cpus").exists() and version() == 1:
                # Version 1 takes no process into a cpuset that names no processors.
                for file in ("cpuset.cpus", "cpuset.mems"):
                    if not (path / file).read_text().strip():
                        (path / file).write_text((parent / file).read_text())


def _hand_down(path: Path) -> None:
    available = (path / "cgroup.controllers").read_text().split()
    enabled = (path / "cgroup.subtree_control").read_text().split()
    missing = [name for name in available if name not in enabled and name in (*NEEDED, "io", "hugetlb")]
    try:
        (path / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in missing))
    except OSError as error:
        raise ClusterError(
            f"controllers can't be enabled for child groups: {error.strerror}",
            where=str(path),
            value=" ".join(missing),
            fix="In a container, move its processes out of the root group",
        ) from error


def procs_files(group: str) -> list[str]:
    """Return the files into which a process writes itself to join the group."""
    return [str(root / group / "cgroup.procs") for root in hierarchies()]


def _members(group: str) -> set[int]:
    pids: set[int] = set()
    for root in hierarchies():
        for file in (root / group).rglob("cgroup.procs"):
            try:
                pids.update(int(pid) for pid in file.read_text().split())
            except OSError:  # the group went away while we looked
                continue
    return pids - {0}


def processes(group: str) -> set[int]:
    """Return the processes in a group and in all groups below it."""
    return _members(group)


def _signal_member(pid: int, group: str) -> None:
    """Kill a process, unless its number has gone to a process outside the group meanwhile."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        if any(f"{line}/".partition(f":/{group}/")[1] for line in lines):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    except (ProcessLookupError, FileNotFoundError):
        return
    finally:
        os.close(handle)


def kill(group: str, timeout_seconds: float = 20.0) -> None:
    """Kill every process in a group and below, and wait until they are gone.

    Raises ClusterError when some remain.
    """
    deadline = time.monotonic() + timeout_seconds
    while members := _members(group):
        if time.monotonic() > deadline:
            raise ClusterError(
                "processes don't end although they were killed",
                where=group,
                value=sorted(members),
                fix="They hang in the kernel, often on a disk; `ps -o pid,wchan,args` tells where",
            )
        for pid in members:
            _signal_member(pid, group)
        time.sleep(0.02)


def remove(group: str) -> None:
    """Remove a group and everything below it, which must hold no processes."""
    for root in hierarchies():
        top = root / group
        if not top.exists():
            continue
        for path, _, _ in os.walk(top, topdown=False):
            _remove_one(Path(path))


def _remove_one(path: Path) -> None:
    # The kernel frees the last member's page tables after it has left the list of processes.
    for _ in range(100):
        try:
            path.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.02)
        else:
            return
    path.rmdir()
