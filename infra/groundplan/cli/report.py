"""`groundplan report`: the last report again."""

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
    place_of,
)


def report_command(
    stack: StackArgument = DEFAULT_STACK,
    *,
    project: ProjectOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    cluster: ClusterOption = DEFAULT_CLUSTER,
    html: Annotated[
        Path | None, typer.Option(help="Write it as HTML here.", show_default=False, dir_okay=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show the last report of a stack; exit code 1 when a promise is broken."""
    from groundplan.cli.console import err, out
    from groundplan.verify import page, report, terminal

    place = place_of(stack, project, kubeconfig, context, cluster)
    last = report.load(place.reports / "report.json")
    if html:
        page.write(last, html)
        err.print(f"Written: {html}", highlight=False, soft_wrap=True)
    if as_json:
        out.print_json(last.model_dump_json())
    else:
        terminal.show(last, out)
    if last.count("broken"):
        raise typer.Exit(1)
