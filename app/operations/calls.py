"""How long the current request or task waited for database and cache; the rest is its own time."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import connection


class Calls:
    """Number and time of the calls by kind of the service called."""

    def __init__(self) -> None:
        self.count: dict[str, int] = {}
        self.seconds: dict[str, float] = {}

    @property
    def total_seconds(self) -> float:
        """Time in all calls together."""
        return sum(self.seconds.values())

    def add(self, kind: str, seconds: float) -> None:
        """Count one call."""
        self.count[kind] = self.count.get(kind, 0) + 1
        self.seconds[kind] = self.seconds.get(kind, 0.0) + seconds


_current: ContextVar[Calls | None] = ContextVar("calls", default=None)


@contextmanager
def call(kind: str) -> Iterator[None]:
    """Time one call to a service of this kind, if somebody records."""
    started = time.perf_counter()
    try:
        yield
    finally:
        calls = _current.get()
        if calls is not None:
            calls.add(kind, time.perf_counter() - started)


def _timed_statement(execute: Callable[..., Any], *arguments: Any) -> Any:
    with call("database"):
        return execute(*arguments)


@contextmanager
def record() -> Iterator[Calls]:
    """Record the calls of this request or task; statements are seen, the commit of a transaction isn't."""
    calls = Calls()
    token = _current.set(calls)
    try:
        with connection.execute_wrapper(_timed_statement):
            yield calls
    finally:
        _current.reset(token)
