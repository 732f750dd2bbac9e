"""Stock, baskets and orders."""

import uuid
from datetime import datetime, timedelta
from decimal import Decimal

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from catalogue.models import Product

MAX_QUANTITY = 99
QUANTITY_VALIDATORS = [MinValueValidator(1), MaxValueValidator(MAX_QUANTITY)]


class Stock(models.Model):
    """How many pieces of a product can still be sold; the database refuses less than none."""

    product = models.OneToOneField(Product, on_delete=models.CASCADE, primary_key=True)
    quantity = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name_plural = "stock"

    def __str__(self) -> str:
        return f"{self.quantity} of {self.product}"


class Basket(models.Model):
    """What a customer is about to order; who knows the random id may use it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)


class BasketItem(models.Model):
    """A product and how many of it."""

    basket = models.ForeignKey(Basket, on_delete=models.CASCADE, related_name="items")
    product = models.ForeignKey(Product, on_delete=models.CASCADE)
    quantity = models.PositiveIntegerField(validators=QUANTITY_VALIDATORS)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["basket", "product"], name="one_item_for_each_product"),
        )
        ordering = ("id",)

    @property
    def amount(self) -> Decimal:
        """Price of all pieces."""
        return self.product.price * self.quantity


class Order(models.Model):
    """An order; it is decided by a worker, which takes the pieces from the stock."""

    class Status(models.TextChoices):
        """Where the order stands."""

        PENDING = "pending"
        CONFIRMED = "confirmed"
        REJECTED = "rejected"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    basket_id = models.UUIDField(
        unique=True, editable=False, help_text="The basket it came from: one order each."
    )
    email = models.EmailField(blank=True)
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING, db_index=True)
    reason = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    decided_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"order {self.id}"

    @property
    def total(self) -> Decimal:
        """Price of all lines."""
        return sum((line.amount for line in self.lines.all()), Decimal(0))


class OrderLine(models.Model):
    """One product of an order, with name and price as they were."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines")
    product = models.ForeignKey(Product, on_delete=models.PROTECT)
    name = models.CharField(max_length=100)
    unit_price = models.DecimalField(max_digits=10, decimal_places=2)
    quantity = models.PositiveIntegerField(validators=QUANTITY_VALIDATORS)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.quantity} x {self.name}"

    @property
    def amount(self) -> Decimal:
        """Price of all pieces."""
        return self.unit_price * self.quantity


def _first_repeat() -> datetime:
    return timezone.now() + timedelta(seconds=30)


class OutboxEvent(models.Model):
    """Says that an order waits for its decision.

    It is written with the order and deleted with the decision. Until then the event is sent again
    from time to time, so that an order outlives a broker that is away or loses its messages.
    """

    order = models.OneToOneField(Order, on_delete=models.CASCADE, primary_key=True)
    attempts = models.PositiveIntegerField(default=0)
    repeat_at = models.DateTimeField(default=_first_repeat, db_index=True)
