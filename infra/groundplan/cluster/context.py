"""What every action works on: the wish, the folders, the networks, the tools."""

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from groundplan.cluster.addresses import MOST_WORKERS, Addresses
from groundplan.cluster.pki import Pki
from groundplan.cluster.state import State
from groundplan.errors import ClusterError
from groundplan.progress import QUIET, Progress
from groundplan.toolchain import home

# The longest name of a network interface is 15 characters: gp-<name>-<worker>.
NAME = re.compile(r"[a-z]([a-z0-9-]{0,7}[a-z0-9])?")
DEFAULT_NAME = "default"
API_PORT = 6443
REGISTRY_PORT = 5000
DEFAULT_WORKERS = 2

CONTROL_PLANE_TOOLS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubectl",
    "registry",
    "buildkitd",
    "local-path-provisioner",
    "coredns",
    "metrics-server",
    "catatonit",
    "ip",
    "nft",
)
WORKER_TOOLS = (
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
    "kubelet",
    "kube-proxy",
    "kube-router",
    "runc",
    "ptp",
    "iptables",
    "ipset",
    "conntrack",
)


@dataclass(frozen=True)
class ClusterConfig:
    """What the embedded cluster is to be.

    workers: how many nodes, each in a zone of its own; None keeps what is there, and is 2 for a new cluster.
    registry_port: where the image registry is reached on loopback. internet: whether pods and image pulls
    may leave the machine, through address translation. Both are settled when the cluster is made.
    """

    name: str = DEFAULT_NAME
    workers: int | None = None
    registry_port: int = REGISTRY_PORT
    internet: bool = True

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.workers is not None and not 1 <= self.workers <= MOST_WORKERS:
            raise ClusterError(
                "the number of workers is out of range",
                where="--workers",
                value=self.workers,
                bound=f"between 1 and {MOST_WORKERS}",
            )


def check_name(name: str) -> None:
    """Raise ClusterError unless the name can be used in names of network interfaces and files."""
    if not NAME.fullmatch(name):
        raise ClusterError(
            "the cluster's name can't be used",
            where="--name",
            value=name,
            bound="1 to 9 lower-case letters, digits and inner hyphens, with a letter first",
        )


@dataclass(frozen=True)
class Paths:
    """Where a cluster's files lie."""

    name: str

    @property
    def clusters(self) -> Path:
        return home() / "clusters"

    @property
    def root(self) -> Path:
        return self.clusters / self.name

    @property
    def lock(self) -> Path:
        return self.clusters / f"{self.name}.lock"

    @property
    def state(self) -> Path:
        return self.root / "state.json"

    @property
    def kubeconfig(self) -> Path:
        return self.root / "kubeconfig"

    @property
    def config(self) -> Path:
        return self.root / "config"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def etcd(self) -> Path:
        return self.root / "etcd"

    @property
    def processes(self) -> Path:
        return self.root / "processes.json"

    @property
    def status(self) -> Path:
        return self.root / "status.json"

    @property
    def api_was_ready(self) -> Path:
        """An empty file that is there from when the API server has been ready for the first time."""
        return self.root / "api-was-ready"

    @property
    def supervisor(self) -> Path:
        """The record of the supervisor's process: its number and when it started."""
        return self.root / "supervisor.json"

    @property
    def images(self) -> Path:
        """Stored images, kept when clusters are taken down."""
        return home() / "images"

    @property
    def builder_socket(self) -> Path:
        """Where BuildKit listens."""
        return self.root / "buildkitd.sock"

    def worker(self, number: int) -> Path:
        return self.root / "workers" / f"worker-{number}"


@dataclass
class Context:
    """One cluster while a command works on it."""

    config: ClusterConfig
    state: State
    tools: dict[str, Path] = field(default_factory=dict)
    progress: Progress = QUIET

    @property
    def name(self) -> str:
        return self.config.name

    @cached_property
    def paths(self) -> Paths:
        return Paths(self.name)

    @property
    def addresses(self) -> Addresses:
        return Addresses(self.state.number)

    @property
    def pki(self) -> Pki:
        return Pki(self.paths.root / "pki")

    @property
    def server(self) -> str:
        """The API server's address as its clients see it."""
        return f"https://{self.addresses.host}:{API_PORT}"

    @property
    def context_name(self) -> str:
        return f"groundplan-{self.name}"

    @property
    def bridge(self) -> str:
        return f"gp-{self.name}"

    @property
    def cgroup(self) -> str:
        return f"groundplan-{self.name}"

    @property
    def registry_on_bridge(self) -> str:
        return f"{self.addresses.host}:{REGISTRY_PORT}"

    @property
    def registry(self) -> str:
        """The registry's name in image references."""
        return f"localhost:{self.state.registry_port}"

    def link(self, number: int) -> str:
        """The host's end of the link to a worker."""
        return f"gp-{self.name}-{number}"

    def remember(self, **changes: object) -> None:
        """Change the state and store it."""
        self.state = self.state.with_(**changes)
        self.state.save(self.paths.state)
