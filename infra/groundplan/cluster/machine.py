"""What the machine has and lacks: looked at before anything is started, so that nothing hangs later."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

import psutil

from groundplan.cluster import cgroups
from groundplan.errors import ClusterError

# Numbers from linux/capability.h.
CAPABILITIES = {
    "CAP_CHOWN": 0,
    "CAP_DAC_OVERRIDE": 1,
    "CAP_KILL": 5,
    "CAP_SETGID": 6,
    "CAP_SETUID": 7,
    "CAP_NET_ADMIN": 12,
    "CAP_NET_RAW": 13,
    "CAP_SYS_CHROOT": 18,
    "CAP_SYS_ADMIN": 21,
    "CAP_MKNOD": 27,
    "CAP_SETFCAP": 31,
}
CAP_SYS_RESOURCE = 24
LEAST_FREE_BYTES = 2 * 2**30
LEAST_MEMORY_BYTES = 2 * 2**30
# Folders that a worker covers with its own.
COVERED = (Path("/var/lib"), Path("/var/log"), Path("/run"), Path("/proc"), Path("/sys"), Path("/dev"))


@dataclass(frozen=True)
class Problem:
    """Something that keeps the cluster from running on this machine."""

    what: str
    value: object | None = None
    bound: str | None = None
    fix: str | None = None
    where: str | None = None


@dataclass(frozen=True)
class Machine:
    """What the cluster's configuration depends on.

    may_raise_priority: whether processes may be protected from being killed when memory is short.
    overlay: whether image layers can be stacked in the cluster's folder.
    """

    cpus: int
    memory_bytes: int
    may_raise_priority: bool
    overlay: bool


def inspect(folder: Path) -> Machine:
    """Look at the machine; `folder` is where the cluster keeps its files."""
    return Machine(
        cpus=os.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        may_raise_priority=bool(_capabilities() >> CAP_SYS_RESOURCE & 1),
        overlay=_overlay_works(folder),
    )


def check(folder: Path) -> None:
    """Raise ClusterError with everything that the machine lacks."""
    problems = list(_basics(folder))
    if not problems:  # the trials need root and the tools
        problems = list(_trials())
    raise_problems(problems)


def check_ports(ports: Iterable[tuple[IPv4Address, int]]) -> None:
    """Raise ClusterError when something listens where the cluster will."""
    raise_problems(list(_taken_ports(ports)))


def raise_problems(problems: list[Problem]) -> None:
    """Raise one ClusterError for all problems, if there are any."""
    if not problems:
        return
    first = problems[0]
    if len(problems) == 1:
        raise ClusterError(first.what, first.where, first.value, first.bound, first.fix)
    lines = [str(ClusterError(p.what, p.where, p.value, p.bound, p.fix)) for p in problems]
    raise ClusterError("this machine can't run the embedded cluster:\n- " + "\n- ".join(lines))


def _capabilities() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def _basics(folder: Path) -> Iterator[Problem]:
    if sys.platform != "linux":
        yield Problem("the embedded cluster needs Linux", value=sys.platform, fix="Use a cluster of your own")
        return
    if os.geteuid() != 0:
        yield Problem(
            "the embedded cluster needs root",
            value=f"user {os.geteuid()}",
            fix="Run it with sudo, or give a cluster of your own with --kubeconfig",
        )
        return
    held = _capabilities()
    lacking = [name for name, bit in CAPABILITIES.items() if not held >> bit & 1]
    if lacking:
        yield Problem(
            "this root lacks capabilities",
            value=", ".join(lacking),
            fix="Inside a container, start it privileged",
        )
    for kind in ("mnt", "pid", "net", "uts", "ipc"):
        if not Path(f"/proc/self/ns/{kind}").exists():
            yield Problem("the kernel has no namespaces of this kind", value=kind)
    missing = [name for name in cgroups.NEEDED if name not in cgroups.controllers()]
    if missing:
        yield Problem(
            "control group controllers are missing",
            where="/sys/fs/cgroup",
            value=", ".join(missing),
            fix="Enable them on the kernel's command line or mount them",
        )
    memory = psutil.virtual_memory().total
    if memory < LEAST_MEMORY_BYTES:
        yield Problem(
            "the machine has too little memory", value=f"{memory / 2**30:.1f} GiB", bound="2 GiB or more"
        )
    yield from _covered(folder)
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        yield Problem(
            "the disk is nearly full",
            where=str(folder),
            value=f"{free / 2**30:.1f} GiB free",
            bound="2 GiB or more",
            fix="Make room or set GROUNDPLAN_HOME to a folder on another disk",
        )


def _covered(folder: Path) -> Iterator[Problem]:
    needed = {
        "the folder for tools and state": folder,
        "the Python interpreter": Path(sys.executable),
    }
    for what, path in needed.items():
        for covered in COVERED:
            if path.resolve().is_relative_to(covered.resolve()):
                yield Problem(
                    f"{what} lies in a folder that each worker replaces by its own",
                    where=str(path),
                    value=str(covered),
                    fix="Move it to another folder, such as one below /srv or /root"
                    + (", with GROUNDPLAN_HOME" if path == folder else ""),
                )


def _unshared(*script: str) -> subprocess.CompletedProcess[str]:
    """Run commands in a network and mount namespace that vanishes with them."""
    command = ["unshare", "--net", "--mount", "sh", "-e", "-c", "\n".join(script)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


_TRIALS = {
    "links between namespaces (veth)": "ip link add trial0 type veth peer name trial1",
    "bridges": "ip link add trial2 type bridge",
    "address translation (iptables nat)": "iptables -t nat -A POSTROUTING -j MASQUERADE",
    "the iptables matches that Services need": (
        "iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -m comment --comment trial"
        " -m statistic --mode random --probability 0.5 -m conntrack --ctstate NEW -j ACCEPT\n"
        "iptables -t mangle -A PREROUTING -j MARK --set-xmark 0x4000/0x4000"
    ),
    "the address sets that network policies need (ipset)": (
        "ipset create trial hash:net\niptables -A FORWARD -m set --match-set trial src -j ACCEPT"
    ),
    "nftables": "nft add table ip trial",
}


def _trials() -> Iterator[Problem]:
    """Try each kernel feature in namespaces of its own: all in one go, and one by one if that fails."""
    if _unshared(*_TRIALS.values()).returncode == 0:
        return
    for feature, script in _TRIALS.items():
        run = _unshared(script)
        if run.returncode != 0:
            reason = (run.stderr.strip().splitlines() or ["no reason given"])[-1]
            yield Problem(f"the kernel lacks {feature}", value=reason, fix="Load or build the module for it")


def _overlay_works(folder: Path) -> bool:
    """Try to stack folders there: it fails, for one, in a container whose root is itself stacked."""
    trial = folder / ".overlay-trial"
    for part in ("lower", "upper", "work", "merged"):
        (trial / part).mkdir(parents=True, exist_ok=True)
    options = f"lowerdir={trial}/lower,upperdir={trial}/upper,workdir={trial}/work"
    run = _unshared(f"mount -t overlay overlay -o '{options}' '{trial}/merged'")
    shutil.rmtree(trial)
    return run.returncode == 0


def _taken_ports(ports: Iterable[tuple[IPv4Address, int]]) -> Iterator[Problem]:
    wanted = list(ports)
    for connection in psutil.net_connections("tcp"):
        if connection.status != psutil.CONN_LISTEN:
            continue
        assert connection.laddr, "what listens has an address"
        host, port = connection.laddr.ip, connection.laddr.port
        for address, wanted_port in wanted:
            same = port == wanted_port and host in (str(address), "0.0.0.0", "::")  # noqa: S104 - not bound
            if same and not _is_another_cluster(connection.pid):
                yield Problem(
                    "a port that the cluster needs is taken",
                    where=f"{address}:{port}",
                    value=_describe(connection.pid),
                    fix="Stop that process"
                    + (", or choose another --registry-port" if port == wanted[0][1] else ""),
                )


def _is_another_cluster(pid: int | None) -> bool:
    """Tell whether a process is another cluster's way to its registry: several may share one port."""
    if pid is None:
        return False
    try:
        return any(word.endswith("/forward.py") for word in psutil.Process(pid).cmdline())
    except psutil.NoSuchProcess:
        return False


def _describe(pid: int | None) -> str:
    if pid is None:
        return "a process of another container"
    try:
        return f"{psutil.Process(pid).name()} (process {pid})"
    except psutil.NoSuchProcess:
        return f"process {pid}"
