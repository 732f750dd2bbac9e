"""Sends the events of orders to the workers, at least once each."""

import logging
import time
from datetime import timedelta
from typing import Any
from uuid import UUID

import redis
from celery import bootsteps
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from orders.models import OutboxEvent
from shop_project.celery import app
from shop_project.periodic import Periodic

log = logging.getLogger(__name__)

DRAIN_INTERVAL_SECONDS = 5.0
HOUSEKEEPING_INTERVAL_SECONDS = 3600.0
_BATCH = 100
_LONGEST_PAUSE_SECONDS = 3600


def send(order_id: UUID) -> bool:
    """Send the event of an order now; whether the broker took it."""
    try:
        app.send_task("orders.decide", args=[str(order_id)], headers={"sent_at": time.time()})
    except (OperationalError, redis.RedisError, OSError) as error:
        log.warning(
            "the broker is away, the event is sent later", extra={"order": str(order_id), "error": str(error)}
        )
        return False
    return True


def drain() -> int:
    """Send the events again that were due; the number sent. Any number of workers may do this at once."""
    sent = 0
    with transaction.atomic():
        due = OutboxEvent.objects.select_for_update(skip_locked=True).filter(repeat_at__lte=timezone.now())
        for event in due.order_by("repeat_at")[:_BATCH]:
            if not send(event.order_id):
                break
            # Less and less often: a slow worker's queue must not fill with repeats.
            pause = min(30 * 2 ** min(event.attempts, 10), _LONGEST_PAUSE_SECONDS)
            event.attempts += 1
            event.repeat_at = timezone.now() + timedelta(seconds=pause)
            event.save(update_fields=["attempts", "repeat_at"])
            sent += 1
    return sent


class OutboxStep(bootsteps.StartStopStep):
    """Drains the outbox beside the tasks, and tidies up."""

    requires = ("celery.worker.components:Pool",)

    def start(self, parent: Any) -> None:
        """Begin."""
        from orders.services import forget_old_baskets  # noqa: PLC0415 - services sends through this module

        self._work = [
            Periodic(drain, DRAIN_INTERVAL_SECONDS),
            Periodic(forget_old_baskets, HOUSEKEEPING_INTERVAL_SECONDS),
        ]
        for periodic in self._work:
            periodic.start()

    def stop(self, parent: Any) -> None:
        """End."""
        for periodic in self._work:
            periodic.stop()
