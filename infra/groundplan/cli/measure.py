"""`groundplan measure`: load on what is deployed, measured beside predicted."""

from pathlib import Path
from typing import Annotated

import typer

from groundplan.cli.place import (
    DEFAULT_CLUSTER,
    DEFAULT_STACK,
    ClusterOption,
    ContextOption,
    KubeconfigOption,
    ProjectOption,
    StackArgument,
    deploy_settings,
    deployment,
    ensure_engine,
    place_of,
    require_cluster,
)


def measure_command(
    stack: StackArgument = DEFAULT_STACK,
    *,
    project: ProjectOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    cluster: ClusterOption = DEFAULT_CLUSTER,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            help="Requests per second; by default the load that the spec states.",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(min=2, max=900, help="How long each run takes.")] = 60.0,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="Measure service times at a middling load first, then compare predictions at 30, 50 and 70 "
            "% utilization.",
        ),
    ] = False,
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
    """Send load to a deployed stack and compare what each service did with the prediction.

    The load is open-loop and Poisson: requests start at random moments whether or not earlier ones were
    answered. It is sent only to this machine or to its own cluster.
    """
    from groundplan.cli.console import progress
    from groundplan.cli.results import Results, endpoints_of
    from groundplan.deploy.exclusive import exclusive

    place = place_of(stack, project, kubeconfig, context, cluster)
    require_cluster(place)
    results = Results(place)
    with progress() as shown, exclusive(place.lock, f"groundplan measure {stack}"):
        ensure_engine(shown)
        outputs = deployment(deploy_settings(place), shown).outputs()
        endpoints = endpoints_of(place, outputs, network or ())
        if calibrate:
            results.calibrate(endpoints, seconds, shown)
        else:
            results.run(endpoints, rate or results.stated_rate(), seconds, shown)
        steps = shown.finished
    results.show(results.write_report(endpoints, steps, target=report), report)
