"""A cache that the shop can do without: when Redis is away, the database is asked."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

import redis
from django.core.cache import cache

from operations import metrics
from operations.calls import call

log = logging.getLogger(__name__)

T = TypeVar("T")

# Bounds how old a page can be if a change could not be told to the cache.
LIFETIME_SECONDS = 60
# After a failure the cache is left alone for this long, so that requests don't queue up behind its time-outs.
PAUSE_SECONDS = 5.0
_GENERATION = "generation"


class _Availability:
    paused_until = 0.0

    def failed(self, error: redis.RedisError) -> None:
        self.paused_until = time.monotonic() + PAUSE_SECONDS
        metrics.CACHE_ERRORS.inc()
        log.warning("the cache is away", extra={"error": str(error)})

    @property
    def paused(self) -> bool:
        return time.monotonic() < self.paused_until


_availability = _Availability()


def remember(key: str, build: Callable[[], T]) -> T:
    """What build returned for this key a short while ago, or returns now."""
    if _availability.paused:
        return build()
    try:
        with call("cache"):
            # Read before the database: a value built from old rows ends up under the old generation.
            versioned = f"{cache.get_or_set(_GENERATION, time.time_ns, timeout=None)}:{key}"
            found: T | None = cache.get(versioned)
    except redis.RedisError as error:
        _availability.failed(error)
        return build()
    if found is not None:
        return found
    built = build()
    if built is None:
        return built
    try:
        with call("cache"):
            cache.set(versioned, built, timeout=LIFETIME_SECONDS)
    except redis.RedisError as error:
        _availability.failed(error)
    return built


def forget_all() -> None:
    """Make every remembered value unreachable; if Redis is away they end with their lifetime."""
    try:
        with call("cache"):
            cache.set(_GENERATION, time.time_ns(), timeout=None)
    except redis.RedisError as error:
        _availability.failed(error)
