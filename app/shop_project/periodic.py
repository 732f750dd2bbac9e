"""Work that a Celery worker repeats beside its tasks, in a thread of its main process."""

import logging
import threading
from collections.abc import Callable

from django.db import close_old_connections, connection

log = logging.getLogger(__name__)


class Periodic:
    """Calls the work at once, then every interval until it is stopped; a failure is logged."""

    def __init__(self, work: Callable[[], object], interval_seconds: float) -> None:
        self._work = work
        self._interval_seconds = interval_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"periodic-{work.__name__}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the call under way, for which it waits a short while."""
        self._stopping.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stopping.is_set():
            close_old_connections()
            try:
                self._work()
            except Exception:  # whatever happened to this call, the next one is due
                log.exception("periodic work failed", extra={"work": self._work.__name__})
                connection.close()
            self._stopping.wait(self._interval_seconds)
        connection.close()
