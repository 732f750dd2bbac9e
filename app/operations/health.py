"""Is this replica ready, and do the services that the shop needs answer?"""

import logging
from collections.abc import Callable

import httpx
import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

log = logging.getLogger(__name__)

_PROBE_TIMEOUT_SECONDS = 2.0


class _Migrations:
    """Once all are applied they stay so; reading the list each time would be dear."""

    applied = False

    def missing(self) -> bool:
        if not self.applied:
            executor = MigrationExecutor(connection)
            self.applied = not executor.migration_plan(executor.loader.graph.leaf_nodes())
        return not self.applied


_migrations = _Migrations()


def readiness_problem() -> str | None:
    """Why this replica can't serve now, or nothing; without the cache the shop is slower, not down."""
    try:
        _ask_database()
        return "migrations are missing" if _migrations.missing() else None
    except DatabaseError as error:
        log.warning("not ready", extra={"error": str(error)})
        return "the database doesn't answer"


def probes() -> dict[str, Callable[[], bool]]:
    """A probe for each kind of service that the shop depends on."""
    found: dict[str, Callable[[], bool]] = {
        "database": _database_answers,
        "cache": lambda: _redis_answers(settings.CACHE_URL),
        "broker": lambda: _redis_answers(settings.CELERY_BROKER_URL),
    }
    if settings.EDGE_URL:
        found["load-balancer"] = lambda: _edge_answers(settings.EDGE_URL)
    return found


def _ask_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _database_answers() -> bool:
    try:
        _ask_database()
    except DatabaseError:
        connection.close()
        return False
    return True


def _redis_answers(url: str) -> bool:
    timeout = _PROBE_TIMEOUT_SECONDS
    with redis.Redis.from_url(url, socket_connect_timeout=timeout, socket_timeout=timeout) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


def _edge_answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=_PROBE_TIMEOUT_SECONDS, trust_env=False).is_success
    except httpx.HTTPError:
        return False
