"""Is this replica ready, and do the services that the shop needs answer?"""

import logging
import urllib.error
import urllib.request
from functools import cache

import httpx
import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

log = logging.getLogger(__name__)


class _Migrations:
    """Once all are applied they stay so for the life of the process; reading the list anew each time would be dear."""

    applied = False

    def missing(self) -> bool:
        if not self.applied:
            executor = MigrationExecutor(connection)
            self.applied = not executor.migration_plan(executor.loader.graph.leaf_nodes())
        return not self.applied


_migrations = _Migrations()


def readiness_problem() -> str | None:
    """Why this replica can't serve now, or nothing."""
    try:
        connection.close_if_unusable_or_obsolete()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return "migrations are missing" if _migrations.missing() else None
    except DatabaseError as error:
        connection.close()
        log.warning("not ready", extra={"error": str(error)})
        return "the database doesn't answer"
