"""Errors as people read them."""

import traceback

from rich.console import Console
from rich.markup import escape

from groundplan.errors import GroundplanError


def show_error(error: GroundplanError, console: Console) -> None:
    """Print what, where, value, bound and fix of a failure that a person can act on."""
    lines = [f"[bold red]Error:[/] {escape(error.what)}"]
    for name, value in (("where", error.where), ("got", error.value), ("must be", error.bound)):
        if value is not None:
            lines.append(f"  {name + ':':9}{escape(str(value))}")
    for note in getattr(error, "__notes__", ()):
        first, *rest = note.splitlines() or [""]
        lines.append(f"  - {escape(first)}")
        lines += [f"    {escape(line)}" for line in rest]
    if error.fix:
        lines.append(f"  {'fix:':9}{escape(error.fix)}")
    console.print("\n".join(lines), highlight=False, soft_wrap=True)


def show_defect(error: BaseException, console: Console) -> None:
    """Print the traceback of what should not have happened."""
    console.print("".join(traceback.format_exception(error)), markup=False, highlight=False)
    console.print(
        "[bold red]This is a defect of groundplan.[/] Please report the lines above and what you ran.",
        highlight=False,
    )
