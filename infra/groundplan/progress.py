"""What long-running functions tell while they work; how it is shown is the caller's choice."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Step(Protocol):
    """A unit of work under way."""

    def update(self, text: str, fraction: float | None = None) -> None:
        """Say what is being done now; fraction, from 0 to 1, where it is known."""


class Progress(Protocol):
    """Shows steps to a person."""

    def step(self, title: str) -> AbstractContextManager[Step]:
        """Open a step; leaving the context ends it, as failed if an exception passes through."""


class _QuietStep:
    def update(self, text: str, fraction: float | None = None) -> None:
        """Show nothing."""


class _Quiet:
    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Show nothing."""
        yield _QuietStep()


QUIET: Progress = _Quiet()
