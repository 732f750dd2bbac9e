"""The command line: parse, call the library, print. One module for each command."""

import sys

import typer

from groundplan.cli import cluster, down, measure, preview, report, status, toolchain, up

app = typer.Typer(
    name="groundplan",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="State what a system must promise; groundplan sizes, prices, checks, deploys and measures it.",
)
app.command("up")(up.up_command)
app.command("down")(down.down_command)
app.command("status")(status.status_command)
app.command("preview")(preview.preview_command)
app.command("measure")(measure.measure_command)
app.command("report")(report.report_command)
app.add_typer(toolchain.app, name="toolchain")
app.add_typer(cluster.app, name="cluster")


def main() -> None:
    """Entry point. Exit codes: 0 done, 1 failed or refused, 2 wrong usage, 130 interrupted."""
    from groundplan.cli import failures
    from groundplan.cli.console import err
    from groundplan.errors import GroundplanError

    try:
        app(standalone_mode=True)
    except GroundplanError as error:
        failures.show_error(error, err)
        sys.exit(1)
    except KeyboardInterrupt:
        err.print("Interrupted. What is done stays; run the same command again to go on.")
        sys.exit(130)
    except Exception as error:
        failures.show_defect(error, err)
        sys.exit(1)
