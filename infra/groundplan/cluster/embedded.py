"""The embedded cluster: up, down, status, logs."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from groundplan.cluster import actions, addresses, cgroups, firewall, host, kernel, network
from groundplan.cluster.api import Api, dns_answers
from groundplan.cluster.context import DEFAULT_WORKERS, ClusterConfig, Context, Paths, check_name
from groundplan.cluster.state import State, write_atomically
from groundplan.errors import ClusterError
from groundplan.progress import QUIET, Progress
from groundplan.toolchain import home

LOCK_TIMEOUT_SECONDS = 900.0


@dataclass(frozen=True)
class NodeStatus:
    """A node, its address, and whether it is ready."""

    name: str
    address: str
    zone: str
    ready: bool


@dataclass(frozen=True)
class ClusterStatus:
    """What there is of a cluster.

    exists: whether there is any state. running: whether its supervisor runs. api: whether the API server
    is ready. dns: whether the cluster's DNS answers. metrics: whether autoscaling has its metrics.
    """

    name: str
    exists: bool
    running: bool
    api: bool
    dns: bool
    metrics: bool
    kubeconfig: Path
    context: str
    server: str | None
    registry: str | None
    node_network: str | None
    pod_network: str | None
    service_network: str | None
    nodes: tuple[NodeStatus, ...]
    processes: tuple[host.ProcessStatus, ...]


@dataclass(frozen=True)
class EmbeddedCluster:
    """A running embedded cluster.

    registry: the host and port under which images are pushed, and referred to by pods.
    """

    name: str
    kubeconfig: Path
    context: str
    registry: str

    def environment(self) -> dict[str, str]:
        """Return the variables with which other programs find this cluster and no other."""
        return {"KUBECONFIG": str(self.kubeconfig)}


@contextmanager
def locked(name: str, progress: Progress, what: str = "the same cluster") -> Iterator[None]:
    """Keep other commands away; wait, and say so, while another one is at work."""
    paths = Paths(name)
    paths.clusters.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = FileLock(paths.lock)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        with progress.step(f"Waiting for another command that works on {what}"):
            try:
                lock.acquire(timeout=LOCK_TIMEOUT_SECONDS)
            except Timeout as error:
                raise ClusterError(
                    f"another command has been at work on {what} for too long",
                    where=str(paths.lock),
                    value=f"{LOCK_TIMEOUT_SECONDS:.0f} s",
                    fix="End that command and run it again",
                ) from error
    try:
        yield
    finally:
        lock.release()


def up(config: ClusterConfig, progress: Progress = QUIET) -> EmbeddedCluster:
    """Bring a cluster up, or what is missing of it, and wait until it serves.

    Raises ClusterError with what the machine lacks or what did not start; run it again to go on.
    """
    if os.geteuid() != 0:
        raise ClusterError(
            "the embedded cluster needs root",
            value=f"user {os.geteuid()}",
            fix="Run it with sudo, or give a cluster of your own with --kubeconfig",
        )
    with locked(config.name, progress):
        context = Context(config, _state(config, progress), progress=progress)
        for title, action in actions.UP:
            with progress.step(title) as step, _system_errors_told(title):
                action(context, step)
    return EmbeddedCluster(config.name, context.paths.kubeconfig, context.context_name, context.registry)


@contextmanager
def _system_errors_told(title: str) -> Iterator[None]:
    """Turn what the system refuses, such as room on a full disk, into an error that a person can act on."""
    try:
        yield
    except OSError as error:
        raise ClusterError(
            f"{title.lower()}: {error.strerror or error}",
            where=error.filename and str(error.filename),
            fix=f"{shutil.disk_usage(home()).free / 2**30:.1f} GiB are free for tools and state; mend it"
            " and run it again",
        ) from error


def _state(config: ClusterConfig, progress: Progress) -> State:
    """Return the cluster's state; for a new one, settle which networks it takes."""
    paths = Paths(config.name)
    state = State.load(paths.state)
    if state is not None:
        return state
    with locked(".networks", progress, "the choice of networks"):
        others = (State.load(path) for path in paths.clusters.glob("*/state.json"))
        reserved = [other.number for other in others if other is not None]
        number = addresses.choose(addresses.networks_in_use(), reserved).number
        state = State(
            name=config.name,
            number=number,
            registry_port=config.registry_port,
            internet=config.internet,
            workers=tuple(range(1, (config.workers or DEFAULT_WORKERS) + 1)),
        )
        paths.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        state.save(paths.state)
    return state


def find(name: str) -> Context | None:
    """Return the context of a cluster that exists.

    Raises ClusterError for an impossible name or a damaged state.
    """
    check_name(name)
    state = State.load(Paths(name).state)
    return None if state is None else Context(ClusterConfig(name), state)


def require(name: str) -> Context:
    """Return the context of a cluster; raise ClusterError where there is none."""
    context = find(name)
    if context is None:
        raise ClusterError("there is no such cluster", value=name, fix="`groundplan cluster up` makes one")
    return context


def down(name: str, progress: Progress = QUIET) -> None:
    """Remove a cluster with all that runs in it, and leave the machine as it was before.

    Stored images stay. Works on what is left of a cluster whose state is damaged, too.
    """
    check_name(name)
    with locked(name, progress):
        paths = Paths(name)
        try:
            state = State.load(paths.state)
        except ClusterError:
            state = None  # names alone say what is the cluster's
        state = state or State(name=name, number=0, registry_port=0, internet=False)
        context = Context(ClusterConfig(name), state, progress=progress)
        with progress.step("Processes"):
            host.end_everything(context)
        with progress.step("Network"):
            network.remove(context)
            firewall.remove(context)
            kernel.restore(context)
        with progress.step("Control groups"):
            cgroups.remove(context.cgroup)
        with progress.step("Files"):
            if paths.root.exists():
                shutil.rmtree(paths.root)


def status(name: str) -> ClusterStatus:
    """Look at a cluster without changing anything."""
    context = find(name)
    if context is None:
        paths = Paths(name)
        return ClusterStatus(
            name, exists=False, running=False, api=False, dns=False, metrics=False,
            kubeconfig=paths.kubeconfig, context=f"groundplan-{name}", server=None, registry=None,
            node_network=None, pod_network=None, service_network=None, nodes=(), processes=(),
        )  # fmt: skip
    networks = context.addresses
    running = host.supervisor(context) is not None
    ready, metrics = False, False
    nodes: dict[str, bool] = {}
    if running:
        with Api.of(context) as api:
            ready = api.is_ready()
            nodes = api.ready_nodes() if ready else {}
            metrics = ready and api.metrics_available()
    return ClusterStatus(
        name=name,
        exists=True,
        running=running,
        api=ready,
        dns=ready and dns_answers(str(networks.dns_service), "kubernetes.default.svc.cluster.local"),
        metrics=metrics,
        kubeconfig=context.paths.kubeconfig,
        context=context.context_name,
        server=context.server,
        registry=context.registry,
        node_network=str(networks.node_network),
        pod_network=str(networks.pod_network),
        service_network=str(networks.service_network),
        nodes=tuple(
            NodeStatus(
                name=f"worker-{number}",
                address=str(networks.worker(number)),
                zone=f"zone-{number}",
                ready=nodes.get(f"worker-{number}", False),
            )
            for number in context.state.workers
        ),
        processes=tuple(host.process_statuses(context)),
    )


def logs(name: str, process: str, *, follow: bool = False) -> Iterator[str]:
    """Give the lines that a process has written, and with `follow` those to come.

    process: such as `etcd` or `worker-1/kubelet`. Raises ClusterError for an unknown one.
    """
    context = require(name)
    known = {"supervisor": context.paths.logs / "supervisor.log"}
    for entry in host.process_statuses(context):
        known[f"{entry.worker}/{entry.name}" if entry.worker else entry.name] = entry.log
    if process not in known:
        raise ClusterError(
            "there is no such process", where=name, value=process, bound="one of " + ", ".join(sorted(known))
        )
    return _lines(known[process], follow=follow)


def _lines(path: Path, *, follow: bool) -> Iterator[str]:
    if not path.exists() and not follow:
        return
    while not path.exists():
        time.sleep(0.2)
    with path.open(errors="replace") as source:
        while True:
            line = source.readline()
            if line:
                yield line.rstrip("\n")
            elif not follow:
                return
            else:
                if path.stat().st_size < source.tell():  # it was shortened
                    source.seek(0)
                time.sleep(0.2)


def lose_worker(name: str, worker: str) -> None:
    """Take a worker away at once, as if its machine had lost power; the next `up` brings it back.

    Raises ClusterError for an unknown worker.
    """
    context = require(name)
    with locked(name, QUIET):
        document = json.loads(context.paths.processes.read_text())
        kept = [process for process in document["processes"] if process["name"] != worker]
        if len(kept) == len(document["processes"]) or not worker.startswith("worker-"):
            raise ClusterError("there is no such worker", where=name, value=worker)
        write_atomically(context.paths.processes, json.dumps({**document, "processes": kept}, indent=1))
        host.tell_supervisor(context)
    deadline = time.monotonic() + 10
    while cgroups.processes(f"{context.cgroup}/{worker}"):
        if time.monotonic() > deadline:
            raise ClusterError("the worker did not end", where=name, value=worker)
        time.sleep(0.05)


def run_in_worker(name: str, worker: str, command: list[str]) -> int:
    """Run a command inside a worker, with its files, network and processes, and return its exit code.

    Raises ClusterError when the worker doesn't exist or doesn't run.
    """
    context = require(name)
    known = {f"worker-{number}": number for number in context.state.workers}
    pid = host.init_pid(context, known[worker]) if worker in known else None
    if pid is None:
        raise ClusterError(
            "there is no such worker that runs", where=name, value=worker, bound="one of " + ", ".join(known)
        )
    return subprocess.run(["nsenter", "--target", str(pid), "--all", "--", *command], check=False).returncode
