"""What people see: results on stdout, everything else on stderr."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from groundplan import toolchain
from groundplan.progress import Progress, Step
from groundplan.verify import figures

out = Console()
"""Results."""

err = Console(stderr=True)
"""Progress, notes and errors."""

_SAID_EVERY_SECONDS = 15.0
_WORTH_AN_ESTIMATE_SECONDS = 3.0


class _Durations:
    """How long steps took before, by title, for honest estimates."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._known: dict[str, float] = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self._known = {}  # estimates are a courtesy

    def usual(self, title: str) -> str:
        seconds = self._known.get(title, 0.0)
        return f"took {figures.duration(seconds)} last time" if seconds > _WORTH_AN_ESTIMATE_SECONDS else ""

    def remember(self, title: str, seconds: float) -> None:
        self._known[title] = round(seconds, 1)

    def save(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(self._known, indent=1), encoding="utf-8")


class _ShownStep:
    def __init__(self, shown: "ShownProgress", task: TaskID | None, title: str) -> None:
        self._shown, self._task, self._title = shown, task, title
        self._said = time.monotonic()

    def update(self, text: str, fraction: float | None = None) -> None:
        if self._task is not None:
            total = None if fraction is None else 1.0
            self._shown.bars.update(self._task, text=escape(text), completed=fraction or 0.0, total=total)
        elif time.monotonic() - self._said > _SAID_EVERY_SECONDS:
            self._said = time.monotonic()
            err.print(f"  {self._title}: {text}", markup=False, highlight=False, soft_wrap=True)


class ShownProgress(Progress):
    """Steps with their time: live bars on a terminal, lines elsewhere.

    finished: title and seconds of each outermost step that ended well.
    """

    def __init__(self, bars: Bars, durations: _Durations) -> None:
        self.bars = bars
        self.finished: list[tuple[str, float]] = []
        self._durations = durations
        self._depth = 0

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Show a step until it ends, then leave one line about it."""
        usual = self._durations.usual(title)
        task = None
        if err.is_terminal:
            task = self.bars.add_task("  " * self._depth + escape(title), total=None, text=usual)
        started = time.monotonic()
        self._depth += 1
        sign, style = "✘", "red"
        try:
            yield _ShownStep(self, task, title)
            sign, style = "✔", "green"
        finally:
            self._depth -= 1
            seconds = time.monotonic() - started
            if task is not None:
                self.bars.remove_task(task)
            indent = "  " * self._depth
            err.print(
                f"{indent}[{style}]{sign}[/] {escape(title)}  [dim]{figures.duration(seconds)}[/]",
                highlight=False,
                soft_wrap=True,
            )
            if sign == "✔":
                self._durations.remember(title, seconds)
                if self._depth == 0:
                    self.finished.append((title, seconds))


@contextmanager
def progress() -> Iterator[ShownProgress]:
    """Show steps while the context is open."""
    durations = _Durations(toolchain.home() / "reports" / "durations.json")
    bars = Bars(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[text]}"),
        console=err,
        transient=True,
    )
    try:
        if err.is_terminal:
            with bars:
                yield ShownProgress(bars, durations)
        else:
            yield ShownProgress(bars, durations)
    finally:
        durations.save()
