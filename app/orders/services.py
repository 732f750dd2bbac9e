"""What can be done with baskets and orders."""

import logging
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from catalogue.models import Product
from orders import outbox
from orders.models import MAX_QUANTITY, Basket, BasketItem, Order, OrderLine, OutboxEvent, Stock

log = logging.getLogger(__name__)

BASKET_LIFETIME = timedelta(days=7)


class OrderError(Exception):
    """The customer asked for something that can't be done; the text says what."""


class NoSuchBasketError(OrderError):
    """The basket never was, was ordered, or is too old."""


@transaction.atomic
def put_in_basket(basket_id: UUID, product_id: int, quantity: int) -> Basket:
    """Set how many pieces of a product are in the basket; none takes it out."""
    basket = _lock_basket(basket_id)
    if not 0 <= quantity <= MAX_QUANTITY:
        raise OrderError(f"The quantity is {quantity}, must be from 0 to {MAX_QUANTITY}.")
    if not Product.objects.filter(id=product_id, active=True).exists():
        raise OrderError(f"There is no product {product_id}.")
    if quantity:
        basket.items.update_or_create(product_id=product_id, defaults={"quantity": quantity})
    else:
        basket.items.filter(product_id=product_id).delete()
    return basket


@transaction.atomic
def place_order(basket_id: UUID, email: str = "") -> tuple[Order, bool]:
    """The order of this basket, and whether it is new: a request that is sent twice orders once."""
    try:
        basket = _lock_basket(basket_id)
    except NoSuchBasketError:
        placed = Order.objects.filter(basket_id=basket_id).first()
        if placed is None:
            raise
        return placed, False
    items = list(basket.items.select_related("product"))
    if not items:
        raise OrderError("The basket is empty.")
    if gone := [item.product.name for item in items if not item.product.active]:
        raise OrderError(f"No longer sold: {', '.join(gone)}.")
    order = Order.objects.create(basket_id=basket.id, email=email)
    OrderLine.objects.bulk_create(_line(order, item) for item in items)
    OutboxEvent.objects.create(order=order)
    basket.delete()
    transaction.on_commit(lambda: outbox.send(order.id))
    return order, True


@transaction.atomic
def decide(order_id: UUID) -> None:
    """Take the pieces from the stock and confirm the order, or reject it; an order is decided once."""
    order = Order.objects.select_for_update().filter(id=order_id).first()
    if order is None:
        log.warning("order is gone", extra={"order": str(order_id)})
        return
    OutboxEvent.objects.filter(order=order).delete()
    if order.status != Order.Status.PENDING:
        return  # the event was sent twice
    missing = _take_from_stock(list(order.lines.all()))
    order.status = Order.Status.REJECTED if missing else Order.Status.CONFIRMED
    order.reason = f"Not enough in stock: {', '.join(missing)}"[:200] if missing else ""
    order.decided_at = timezone.now()
    order.save(update_fields=["status", "reason", "decided_at"])


def forget_old_baskets() -> None:
    """Delete baskets that nobody ordered."""
    Basket.objects.filter(created_at__lt=timezone.now() - BASKET_LIFETIME).delete()


def _lock_basket(basket_id: UUID) -> Basket:
    basket = Basket.objects.select_for_update().filter(id=basket_id).first()
    if basket is None:
        raise NoSuchBasketError("There is no such basket.")
    return basket


def _line(order: Order, item: BasketItem) -> OrderLine:
    product = item.product
    return OrderLine(
        order=order, product=product, name=product.name, unit_price=product.price, quantity=item.quantity
    )


def _take_from_stock(lines: Sequence[OrderLine]) -> list[str]:
    """Names of the products that there are too few of; if there are none, the stock is lower now."""
    # Always locked in the same order, so that two orders of the same products don't wait for each other.
    stock = {
        row.product_id: row
        for row in Stock.objects.select_for_update()
        .filter(product__in=[line.product_id for line in lines])
        .order_by("product_id")
    }
    missing = [
        line.name
        for line in lines
        if line.product_id not in stock or stock[line.product_id].quantity < line.quantity
    ]
    if not missing:
        for line in lines:
            stock[line.product_id].quantity -= line.quantity
        Stock.objects.bulk_update(stock.values(), ["quantity"])
    return missing
