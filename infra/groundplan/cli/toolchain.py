"""`groundplan toolchain`: the tools that groundplan starts."""

from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Obtain and check the tools that groundplan starts.")


@app.command("install")
def install_command(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Tools or groups, as `status` lists them; all when none is named.", show_default=False
        ),
    ] = None,
) -> None:
    """Obtain what is missing: found on PATH, downloaded as a release, or built from pinned sources.

    A first build of everything takes about half an hour on two cores. It can be interrupted:
    it goes on where it stopped.
    """
    from groundplan import toolchain
    from groundplan.cli.console import progress

    with progress() as shown:
        toolchain.ensure(*(names or toolchain.catalogue()), progress=shown)


@app.command("status")
def status_command(
    verify: Annotated[bool, typer.Option("--verify", help="Compare files with their checksums.")] = False,
) -> None:
    """List the tools, their versions, and where each one is from."""
    from rich.table import Table

    from groundplan import toolchain
    from groundplan.cli.console import out

    table = Table("group", "version", "from", "tools")
    stands = toolchain.status(thorough=verify)
    for stand in stands:
        origin = stand.origin or f"[red]missing[/red]{f': {stand.problem}' if stand.problem else ''}"
        table.add_row(stand.recipe.name, stand.recipe.version or "", origin, " ".join(stand.recipe.tools))
    out.print(table)
    out.print(f"Everything lies in {toolchain.home()}.")
    if any(stand.origin is None and stand.problem for stand in stands):
        raise typer.Exit(1)
