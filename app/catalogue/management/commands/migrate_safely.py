"""`migrate` for a replica that starts beside others, perhaps before the database does."""

import time
from typing import Any

from django.core.management import BaseCommand, CommandError, call_command
from django.db import OperationalError, connection

# Any number, as long as all replicas take the same one.
_LOCK = 7_310_442
_WAIT_SECONDS = 60.0


class Command(BaseCommand):
    """Waits for the database, then migrates under an advisory lock."""

    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        """Run."""
        self._wait()
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0; SET lock_timeout = 0")
            cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
            try:
                call_command("migrate", interactive=False, stdout=self.stdout)
            finally:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])

    def _wait(self) -> None:
        deadline = time.monotonic() + _WAIT_SECONDS
        while True:
            try:
                connection.ensure_connection()
            except OperationalError as error:
                if time.monotonic() > deadline:
                    raise CommandError(
                        f"the database didn't answer within {_WAIT_SECONDS:.0f} s: {error}. "
                        "Check DATABASE_HOST, DATABASE_PORT and the credentials"
                    ) from error
                self.stderr.write("waiting for the database")
                time.sleep(1)
            else:
                return
