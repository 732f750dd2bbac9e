"""What a cluster could leave behind on a machine, and how two looks at the machine differ."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psutil

from groundplan.cluster import cgroups
from groundplan.cluster.context import Paths
from groundplan.cluster.kernel import LEAST, SET_BY_KUBELET, read
from groundplan.cluster.network import ip, uplinks

# Folders in which the parts of a cluster would put files, were they not kept away from them.
FOLDERS = ("/etc", "/opt", "/run", "/usr/libexec", "/var/lib", "/var/log")
FOLDER_DEPTH = 3


@dataclass(frozen=True)
class Snapshot:
    """A look at the machine, by kind of thing.

    Processes of other programs and clusters come and go; those of the cluster in question count.
    """

    things: dict[str, frozenset[str]]

    def differences(self, later: "Snapshot") -> dict[str, tuple[frozenset[str], frozenset[str]]]:
        """Return, for each kind that differs, what has gone and what has come."""
        return {
            kind: (before - later.things[kind], later.things[kind] - before)
            for kind, before in self.things.items()
            if before != later.things[kind]
        }


def take(paths: Paths) -> Snapshot:
    """Look at the machine for one cluster, given by its paths, which need not exist."""
    return Snapshot(
        {
            "processes": frozenset(_processes(paths)),
            "mounts": frozenset(_mounts()),
            "network namespaces": frozenset(_network_namespaces(paths)),
            "links": frozenset(link["ifname"] for link in json.loads(ip("-json", "link"))),
            "addresses": frozenset(_addresses()),
            "routes": frozenset(ip("route", "show", "table", "all").splitlines()),
            "firewall": frozenset(_firewall()),
            "control groups": frozenset(_groups()),
            "kernel settings": frozenset(_settings()),
            "listening": frozenset(_listening(paths)),
            "files": frozenset(_files(paths)),
        }
    )


def _ours(process: psutil.Process, paths: Paths) -> bool:
    try:
        words = process.cmdline()
        group = Path(f"/proc/{process.pid}/cgroup").read_text()
    except (psutil.Error, OSError):
        return False
    return f"/groundplan-{paths.name}/" in group or any(f"{paths.root}/" in word for word in words)


def _processes(paths: Paths) -> list[str]:
    return [str(process.pid) for process in psutil.process_iter() if _ours(process, paths)]


def _mounts() -> list[str]:
    # The first two fields are numbers that the kernel counts up.
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [" ".join(line.split()[3:]) for line in lines]


def _network_namespaces(paths: Paths) -> list[str]:
    found = [path.name for path in Path("/run/netns").glob("*")]
    for process in psutil.process_iter():
        if _ours(process, paths):
            found.append(str(Path(f"/proc/{process.pid}/ns/net").readlink()))
    return found


def _addresses() -> list[str]:
    return [
        f"{link['ifname']} {address['local']}"
        for link in json.loads(ip("-json", "address"))
        for address in link["addr_info"]
    ]


def _firewall() -> list[str]:
    lines: list[str] = []
    for command in (["nft", "list", "ruleset"], ["iptables-legacy-save"], ["ip6tables-legacy-save"]):
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        lines += [line for line in run.stdout.splitlines() if not line.startswith(("#", ":"))]
    return lines


def _groups() -> list[str]:
    return [str(path) for root in cgroups.hierarchies() for path in root.glob("*") if path.is_dir()]


def _settings() -> list[str]:
    forwarding = [f"net/ipv4/conf/{link}/forwarding" for link in uplinks()]
    names = (*LEAST, *SET_BY_KUBELET, *forwarding, "net/ipv4/ip_forward")
    return [f"{name} = {read(name)}" for name in names]


def _listening(paths: Paths) -> list[str]:
    return [
        f"{connection.laddr}"
        for connection in psutil.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
        and connection.pid
        and psutil.pid_exists(connection.pid)
        and _ours(psutil.Process(connection.pid), paths)
    ]


def _files(paths: Paths) -> list[str]:
    found = []
    for folder in FOLDERS:
        top = Path(folder)
        for path in top.glob("*/" * FOLDER_DEPTH) if top.exists() else ():
            if not path.is_relative_to(paths.clusters):
                found.append(str(path))
        found += [str(path) for path in top.glob("*")]
    return found
