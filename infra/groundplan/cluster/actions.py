"""The steps that bring a cluster up, in order. Each looks what is there and does only what is missing."""

import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from groundplan.cluster import (
    cgroups,
    control_plane,
    firewall,
    host,
    kernel,
    machine,
    network,
    objects,
    processes,
    supervisor,
    system_images,
    worker,
)
from groundplan.cluster.api import Api, dns_answers, wait
from groundplan.cluster.context import API_PORT, CONTROL_PLANE_TOOLS, WORKER_TOOLS, Context
from groundplan.errors import ClusterError
from groundplan.progress import Step
from groundplan.toolchain import ensure, home

START_TIMEOUT_SECONDS = 120.0


def obtain_tools(context: Context, step: Step) -> None:
    step.update("looking for Kubernetes and its helpers")
    context.tools = ensure(*CONTROL_PLANE_TOOLS, *WORKER_TOOLS, progress=context.progress)
    context.tools["busybox"] = system_images.static_busybox(home() / "tools" / "busybox")


def check_machine(context: Context, step: Step) -> None:
    if host.supervisor(context) is None:
        step.update("kernel features, ports, disk")
        host.end_everything(context)  # what a supervisor that was killed has left running
        machine.check(context.paths.clusters)
        machine.check_ports(control_plane.host_ports(context))


def remove_surplus_workers(context: Context, step: Step) -> None:
    """Empty the workers that are no longer wanted and remove their nodes."""
    workers = context.state.workers
    wanted = context.config.workers
    if wanted is None or len(workers) <= wanted:
        return
    with Api.of(context) as api:
        if not api.is_ready():
            raise ClusterError(
                "workers can only be removed from a running cluster",
                fix="Run it without --workers first",
            )
        for number in workers[wanted:]:
            node = f"worker-{number}"
            step.update(f"draining {node}")
            _refuse_to_lose_volumes(api, node)
            if api.get(f"/api/v1/nodes/{node}") is not None:  # it is gone when this was interrupted
                _drain(context, node)
                api.delete(f"/api/v1/nodes/{node}")
    context.remember(workers=workers[:wanted])


def _refuse_to_lose_volumes(api: Api, node: str) -> None:
    volumes = api.get("/api/v1/persistentvolumes") or {"items": []}
    there = [volume["metadata"]["name"] for volume in volumes["items"] if f"'{node}'" in str(volume["spec"])]
    if there:
        raise ClusterError(
            "the worker holds volumes that would be lost with it",
            where=node,
            value=", ".join(there),
            fix="Delete their claims first, or keep the worker",
        )


def _drain(context: Context, node: str) -> None:
    command = [
        str(context.tools["kubectl"]), f"--kubeconfig={context.paths.kubeconfig}", "drain", node, "--force",
        "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=90s",
    ]  # fmt: skip
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise ClusterError("the worker could not be emptied", where=node, value=run.stderr.strip())


def add_workers(context: Context, step: Step) -> None:
    """Settle which workers there are to be."""
    wanted = context.config.workers
    if wanted is not None and wanted > len(context.state.workers):
        step.update(f"{wanted} workers")
        context.remember(workers=tuple(range(1, wanted + 1)))


def make_network(context: Context, step: Step) -> None:
    step.update(str(context.addresses.node_network))
    network.ensure(context)
    network.route_services(context)
    firewall.ensure(context)
    kernel.prepare(context)


def make_groups(context: Context, step: Step) -> None:
    step.update(f"control groups, version {cgroups.version()}")
    cgroups.create(f"{context.cgroup}/system")
    for number in context.state.workers:
        cgroups.create(f"{context.cgroup}/worker-{number}/system")
        cgroups.create(f"{context.cgroup}/worker-{number}/pods")


def make_certificates(context: Context, step: Step) -> None:
    made = context.pki.ensure(context.addresses, context.state.workers)
    if made:
        step.update(f"{len(made)} made")
    processes.write_kubeconfigs(context)


def configure(context: Context, step: Step) -> None:
    step.update("describing images")
    processes.install_scripts(context)
    images = system_images.references(context)
    facts = machine.inspect(context.paths.clusters)
    for number in context.state.workers:
        worker.write_worker(context, number, facts, images["pause"])
    control_plane.write_host_list(context, images["busybox"])


def start(context: Context, step: Step) -> None:
    step.update("starting the supervisor")
    host.start_supervisor(context)
    host.tell_supervisor(context)


def clear_removed_workers(context: Context, step: Step) -> None:
    """Remove what is left of workers that are no longer the cluster's."""
    kept = {f"worker-{number}" for number in context.state.workers}
    for folder in context.paths.worker(1).parent.iterdir():
        if folder.name in kept:
            continue
        step.update(folder.name)
        cgroups.kill(f"{context.cgroup}/{folder.name}")
        cgroups.remove(f"{context.cgroup}/{folder.name}")
        for name in (f"kubelet-{folder.name}", f"kubelet-{folder.name}-server"):
            context.pki.remove(name)
        (context.paths.config / f"kubelet-{folder.name}.kubeconfig").unlink(missing_ok=True)
        shutil.rmtree(folder)


def store_images(context: Context, step: Step) -> None:
    address = f"tcp:{context.registry_on_bridge}"
    _wait(context, "the image registry doesn't answer", lambda: supervisor.reachable(address))
    system_images.push(context, step.update)


def wait_for_api(context: Context, step: Step) -> None:
    step.update(f"{context.addresses.host}:{API_PORT}")
    with Api.of(context) as api:
        _wait(context, "the API server isn't ready", api.is_ready)
    context.paths.api_was_ready.touch()


def apply_objects(context: Context, step: Step) -> None:
    step.update("DNS, metrics, storage class")
    objects.apply(context, system_images.references(context))


def wait_for_nodes(context: Context, step: Step) -> None:
    wanted = {f"worker-{number}" for number in context.state.workers}
    with Api.of(context) as api:

        def all_ready() -> bool:
            reported = {name for name, is_ready in api.ready_nodes().items() if is_ready}
            # A report may be from before a restart.
            ready = {name for name in reported & wanted if api.kubelet_answers(name)}
            step.update(f"{len(ready & wanted)} of {len(wanted)} workers")
            return wanted <= ready

        _wait(context, "not every worker is ready", all_ready)


def wait_for_dns(context: Context, step: Step) -> None:
    server, name = str(context.addresses.dns_service), "kubernetes.default.svc.cluster.local"
    step.update(name)
    _wait(context, "the cluster's DNS doesn't answer", lambda: dns_answers(server, name))
    with Api.of(context) as api:
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        _wait(context, "there is no default service account", lambda: api.get(account) is not None)


def _wait(context: Context, what: str, condition: Callable[[], bool]) -> None:
    wait(what, condition, START_TIMEOUT_SECONDS, lambda: explain(context))


def explain(context: Context) -> str | None:
    """Say which processes are not running and what they wrote last."""
    lines = []
    for process in host.process_statuses(context):
        if process.state == "running" and process.restarts == 0:
            continue
        place = f"{process.worker} " if process.worker else ""
        reason = f"waits for {process.waiting_for}" if process.waiting_for else process.last_exit
        lines.append(f"{place}{process.name}: {process.state}, {reason}, {process.restarts} restarts")
        if process.last_exit and process.log.exists():
            lines += [f"    {line}" for line in process.log.read_text(errors="replace").splitlines()[-3:]]
    return "\n".join(lines) or None


def in_parallel(*actions: Callable[[Context, Step], None]) -> Callable[[Context, Step], None]:
    """Return an action that runs several at once and fails with the first failure."""

    def run(context: Context, step: Step) -> None:
        with ThreadPoolExecutor(len(actions)) as pool:
            for future in [pool.submit(action, context, step) for action in actions]:
                future.result()

    return run


def ready_api(context: Context, step: Step) -> None:
    wait_for_api(context, step)
    apply_objects(context, step)


UP: tuple[tuple[str, Callable[[Context, Step], None]], ...] = (
    ("Tools", obtain_tools),
    ("Machine", check_machine),
    ("Workers to remove", remove_surplus_workers),
    ("Workers to add", add_workers),
    ("Certificates", make_certificates),
    ("Network", make_network),
    ("Control groups", make_groups),
    ("Configuration", configure),
    ("Processes", start),
    ("Removed workers", clear_removed_workers),
    ("Images and API server", in_parallel(store_images, ready_api)),
    ("Nodes", wait_for_nodes),
    ("DNS", wait_for_dns),
)
