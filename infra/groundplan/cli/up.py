"""`groundplan up`: from nothing to a deployed, measured system."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundplan.cli.place import (
    DEFAULT_CLUSTER,
    DEFAULT_STACK,
    ClusterOption,
    ContextOption,
    KubeconfigOption,
    Place,
    ProjectOption,
    StackArgument,
    deploy_settings,
    deployment,
    ensure_engine,
    image_environment,
    place_of,
)

if TYPE_CHECKING:
    from groundplan.deploy.settings import DeploySettings
    from groundplan.progress import Progress

LOAD_SECONDS = 20.0


def up_command(
    stack: StackArgument = DEFAULT_STACK,
    *,
    project: ProjectOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    cluster: ClusterOption = DEFAULT_CLUSTER,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Nodes of the embedded cluster; by default as they are, else 2.", show_default=False
        ),
    ] = None,
    measure: Annotated[
        bool | None,
        typer.Option(
            "--measure/--no-measure",
            help="Send load and measure; by default when something changed.",
            show_default=False,
        ),
    ] = None,
    network: Annotated[
        list[str] | None,
        typer.Option(
            help="Private network of your own cluster that load may be sent to.", show_default=False
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Write the HTML report here too.", show_default=False, dir_okay=False),
    ] = None,
) -> None:
    """Deploy a stack and measure whether its promises hold.

    Obtains the tools, starts the embedded cluster (or uses yours, when you name it), builds the images,
    asks the policy gate, deploys, sends a short load, and reports. Run it again after an interruption, or at
    any time: it goes on where it stopped, and changes nothing when nothing changed.
    """
    from groundplan.cli.console import err, progress
    from groundplan.cli.results import Results, endpoints_of
    from groundplan.deploy.exclusive import exclusive

    place = place_of(stack, project, kubeconfig, context, cluster)
    results = Results(place)
    with progress() as shown, exclusive(place.lock, f"groundplan up {stack}"):
        settings = _prepared(place, workers, shown)
        work = deployment(settings, shown)
        for sentence in work.recover():
            err.print(f"[yellow]Recovered:[/] {sentence}", highlight=False)
        previewed = work.preview()
        for violation in previewed.violations:
            if not violation.mandatory:
                err.print(f"[yellow]Advice:[/] {violation.rule}: {violation.message}", highlight=False)
        previewed.require_allowed()
        if previewed.has_changes:
            results.forget()
            work.up(previewed)
        endpoints = endpoints_of(place, work.outputs(), network or ())
        wanted = not results.measurements() if measure is None else measure
        if wanted:
            results.run(endpoints, results.stated_rate(), LOAD_SECONDS, shown)
        steps = shown.finished
    made = results.write_report(endpoints, steps, target=report)
    results.show(made, report)


def _prepared(place: Place, workers: int | None, progress: "Progress") -> "DeploySettings":
    """Bring up what the stack is deployed with and to."""
    ensure_engine(progress)
    if not place.embedded:
        return deploy_settings(place)
    from groundplan import cluster

    cluster.up(cluster.ClusterConfig(name=place.cluster, workers=workers), progress)
    return deploy_settings(place, image_environment(place, progress))
