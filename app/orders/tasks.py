"""What the workers do."""

from uuid import UUID

from celery import shared_task
from django.db import DatabaseError

from orders import services


@shared_task(
    name="orders.decide",
    autoretry_for=(DatabaseError,),
    max_retries=None,
    retry_backoff=1,
    retry_backoff_max=60,
)
def decide(order_id: str) -> None:
    """Decide an order; a database that is away for a while only delays it."""
    services.decide(UUID(order_id))
