"""`groundplan cluster`: the cluster that everything is deployed to."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from groundplan.cluster import ClusterStatus

app = typer.Typer(no_args_is_help=True, help="Start, look at and remove the embedded cluster.")

Name = Annotated[str, typer.Option("--name", help="The cluster's name.")]
DEFAULT = "default"


@app.command("up")
def up_command(
    name: Name = DEFAULT,
    workers: Annotated[
        int | None,
        typer.Option(
            help="How many nodes, each in a zone of its own; without it, what is there, else 2.",
            show_default=False,
        ),
    ] = None,
    registry_port: Annotated[int, typer.Option(help="The image registry's port on loopback.")] = 5000,
    internet: Annotated[
        bool, typer.Option("--internet/--no-internet", help="Whether pods may reach the world outside.")
    ] = True,
    kind: Annotated[bool, typer.Option("--kind", help="Use kind, which needs Docker, instead.")] = False,
) -> None:
    """Start the cluster, or what is missing of it, and wait until it serves."""
    from groundplan.cli.console import out, progress
    from groundplan.cluster import ClusterConfig, adapter_for

    config = ClusterConfig(name, workers, registry_port, internet)
    with progress() as shown:
        cluster = adapter_for(config, kind=kind).up(shown)
    out.print(f"kubeconfig: {cluster.kubeconfig}\ncontext: {cluster.context}")
    if cluster.registry:
        out.print(f"image registry: {cluster.registry}")


@app.command("down")
def down_command(
    name: Name = DEFAULT,
    kind: Annotated[bool, typer.Option("--kind", help="It is one of kind's.")] = False,
) -> None:
    """Remove the cluster and everything in it; stored images stay."""
    from groundplan.cli.console import progress
    from groundplan.cluster import ClusterConfig, adapter_for

    with progress() as shown:
        adapter_for(ClusterConfig(name), kind=kind).down(shown)


@app.command("status")
def status_command(name: Name = DEFAULT) -> None:
    """Show the cluster's addresses, nodes and processes; the exit code is 1 when it doesn't serve."""
    from groundplan.cluster import status

    found = status(name)
    _show(found)
    if not (found.api and found.dns and all(node.ready for node in found.nodes)):
        raise typer.Exit(1)


def _show(found: "ClusterStatus") -> None:
    from rich.table import Table

    from groundplan.cli.console import out

    if not found.exists:
        out.print(f"There is no cluster {found.name}. `groundplan cluster up` makes one.")
        return
    yes = {True: "yes", False: "[red]no[/red]"}
    facts = Table.grid(padding=(0, 2))
    for title, text in (
        ("supervisor runs", yes[found.running]),
        ("API server ready", f"{yes[found.api]}, {found.server}"),
        ("DNS answers", yes[found.dns]),
        ("metrics for autoscaling", yes[found.metrics]),
        ("image registry", str(found.registry)),
        (
            "networks",
            f"nodes {found.node_network}, pods {found.pod_network}, services {found.service_network}",
        ),
        ("kubeconfig", f"{found.kubeconfig}, context {found.context}"),
    ):
        facts.add_row(title, text)
    nodes = Table("node", "address", "zone", "ready")
    for node in found.nodes:
        nodes.add_row(node.name, node.address, node.zone, yes[node.ready])
    processes = Table("process", "state", "pid", "up", "restarts", "last exit")
    for process in found.processes:
        title = f"{process.worker}/{process.name}" if process.worker else process.name
        state = process.state if not process.waiting_for else f"waits for {process.waiting_for}"
        age = _age(time.time() - process.since) if process.since else ""
        pid = str(process.pid or "")
        processes.add_row(title, state, pid, age, str(process.restarts), process.last_exit or "")
    out.print(facts, nodes, processes, sep="\n")


def _age(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s"


@app.command("logs")
def logs_command(
    process: Annotated[
        str, typer.Argument(help="Such as etcd, kube-apiserver or worker-1/kubelet; `status` lists them.")
    ] = "supervisor",
    name: Name = DEFAULT,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is still to come.")] = False,
) -> None:
    """Print what a process of the cluster has written."""
    from groundplan.cluster import logs

    for line in logs(name, process, follow=follow):
        typer.echo(line)


@app.command("kubeconfig")
def kubeconfig_command(name: Name = DEFAULT) -> None:
    """Print where the kubeconfig is: `export KUBECONFIG=$(groundplan cluster kubeconfig)`."""
    from groundplan.cluster import status
    from groundplan.errors import ClusterError

    found = status(name)
    if not found.exists:
        raise ClusterError("there is no such cluster", value=name, fix="`groundplan cluster up` makes one")
    typer.echo(Path(found.kubeconfig))


@app.command("exec", context_settings={"ignore_unknown_options": True})
def exec_command(
    worker: Annotated[str, typer.Argument(help="Such as worker-1.")],
    command: Annotated[list[str], typer.Argument(help="What to run there, after `--`.")],
    name: Name = DEFAULT,
) -> None:
    """Run a command inside a worker, with its files, network and processes."""
    from groundplan.cluster import run_in_worker

    raise typer.Exit(run_in_worker(name, worker, command))
