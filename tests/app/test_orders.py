"""Baskets, orders and stock, the races between them, and the loss of what they need."""

import signal
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone

from catalogue.models import Product
from orders import outbox, services
from orders.models import Basket, Order, OutboxEvent, Stock
from tests.app.servers import Redis

pytestmark = pytest.mark.usefixtures("shop")


def product(quantity: int, name: str = "Mug") -> Product:
    created = Product.objects.create(name=name, slug=name.lower(), category="Kitchen", price="18.50")
    Stock.objects.create(product=created, quantity=quantity)
    return created


def post(path: str, body: dict[str, Any], status: int) -> Any:
    answer = Client().post(path, body, content_type="application/json")
    assert answer.status_code == status, answer.content
    return answer.json()


def basket_with(quantities: dict[int, int]) -> str:
    basket = post("/api/baskets/", {}, 201)["id"]
    for product_id, quantity in quantities.items():
        post(f"/api/baskets/{basket}/items/", {"product": product_id, "quantity": quantity}, 200)
    return str(basket)


def queued(broker: Redis) -> int:
    return int(broker.client.llen("orders"))


def test_a_basket_holds_the_quantity_that_was_set_last() -> None:
    mug = product(10)
    basket = basket_with({mug.id: 2})
    items = post(f"/api/baskets/{basket}/items/", {"product": mug.id, "quantity": 5}, 200)["items"]
    assert [(item["name"], item["quantity"], item["amount"]) for item in items] == [("Mug", 5, "92.50")]
    assert post(f"/api/baskets/{basket}/items/", {"product": mug.id, "quantity": 0}, 200)["items"] == []


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"product": 1, "quantity": 100}, "quantity"),
        ({"product": 1, "quantity": -1}, "quantity"),
        ({"product": 1, "quantity": "many"}, "quantity"),
        ({"quantity": 1}, "product"),
        ({"product": 2**63, "quantity": 1}, "product"),
        ({"product": 987_654, "quantity": 1}, "detail"),
    ],
)
def test_a_wrong_item_is_refused_and_named(body: dict[str, Any], named: str) -> None:
    assert named in post(f"/api/baskets/{basket_with({})}/items/", body, 400)


def test_an_unknown_basket_is_not_found() -> None:
    post(f"/api/baskets/{uuid.uuid4()}/items/", {"product": 1}, 404)


def test_an_order_starts_pending_and_its_event_is_sent_after_the_commit(broker: Redis) -> None:
    mug = product(10)
    order = post("/api/orders/", {"basket": basket_with({mug.id: 2})}, 201)
    assert (order["status"], order["total"]) == ("pending", "37.00")
    assert queued(broker) == 1
    assert Stock.objects.get(product=mug).quantity == 10


def test_an_order_that_is_rolled_back_sends_nothing(broker: Redis) -> None:
    basket = uuid.UUID(basket_with({product(10).id: 1}))
    with transaction.atomic():
        services.place_order(basket)
        transaction.set_rollback(True)
    assert (queued(broker), Order.objects.count(), OutboxEvent.objects.count()) == (0, 0, 0)


def test_the_same_basket_is_ordered_once() -> None:
    basket = basket_with({product(10).id: 2})
    first = post("/api/orders/", {"basket": basket}, 201)
    assert post("/api/orders/", {"basket": basket}, 200)["id"] == first["id"]


@pytest.mark.parametrize("basket", [None, "no-uuid", str(uuid.uuid4())])
def test_an_order_without_a_basket_is_refused(basket: str | None) -> None:
    post("/api/orders/", {"basket": basket}, 400)


def test_an_empty_basket_and_a_product_no_longer_sold_are_refused() -> None:
    assert "empty" in post("/api/orders/", {"basket": basket_with({})}, 400)["detail"]
    mug = product(10)
    basket = basket_with({mug.id: 1})
    mug.active = False
    mug.save()
    assert "Mug" in post("/api/orders/", {"basket": basket}, 400)["detail"]


def test_a_price_that_changes_later_does_not_change_the_order() -> None:
    mug = product(10)
    order = post("/api/orders/", {"basket": basket_with({mug.id: 1})}, 201)
    mug.price = 99
    mug.save()
    assert Client().get(f"/api/orders/{order['id']}/").json()["total"] == "18.50"


def test_the_decision_takes_the_stock_once_however_often_the_event_comes() -> None:
    mug = product(10)
    order = post("/api/orders/", {"basket": basket_with({mug.id: 3})}, 201)
    for _ in range(3):
        services.decide(uuid.UUID(order["id"]))
    assert Order.objects.get().status == "confirmed"
    assert Stock.objects.get(product=mug).quantity == 7
    assert not OutboxEvent.objects.exists()


def test_an_order_of_which_one_product_is_short_takes_nothing() -> None:
    mug, pan = product(10), product(1, "Pan")
    order = post("/api/orders/", {"basket": basket_with({mug.id: 3, pan.id: 2})}, 201)
    services.decide(uuid.UUID(order["id"]))
    decided = Order.objects.get()
    assert (decided.status, decided.reason) == ("rejected", "Not enough in stock: Pan")
    assert Stock.objects.get(product=mug).quantity == 10


def test_the_database_refuses_a_stock_below_none() -> None:
    mug = product(1)
    with pytest.raises(IntegrityError):
        Stock.objects.filter(product=mug).update(quantity=-1)


def test_orders_at_once_never_sell_more_than_there_is() -> None:
    mug, pan = product(20), product(15, "Pan")
    # Both orders of products, so that locks taken in the order of the lines would block each other.
    baskets = [basket_with({mug.id: 1, pan.id: 1} if n % 2 else {pan.id: 1, mug.id: 1}) for n in range(40)]

    def order(basket: str) -> None:
        try:
            placed, _created = services.place_order(uuid.UUID(basket))
            services.decide(placed.id)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(order, baskets * 2))
    assert Order.objects.count() == 40
    assert Order.objects.filter(status="confirmed").count() == 15
    assert Stock.objects.get(product=pan).quantity == 0
    assert Stock.objects.get(product=mug).quantity == 5


def test_an_order_placed_without_a_broker_is_sent_when_it_is_back(broker: Redis) -> None:
    mug = product(10)
    basket = basket_with({mug.id: 1})
    broker.stop(signal.SIGKILL)
    order = post("/api/orders/", {"basket": basket}, 201)
    assert order["status"] == "pending"
    OutboxEvent.objects.update(repeat_at=timezone.now())
    assert outbox.drain() == 0
    broker.start()
    assert outbox.drain() == 1
    assert queued(broker) == 1
    assert outbox.drain() == 0, "the next repeat isn't due yet"


def test_repeats_of_an_event_become_rarer(broker: Redis) -> None:
    post("/api/orders/", {"basket": basket_with({product(10).id: 1})}, 201)
    pauses = []
    for _ in range(9):
        OutboxEvent.objects.update(repeat_at=timezone.now())
        outbox.drain()
        pauses.append((OutboxEvent.objects.get().repeat_at - timezone.now()).total_seconds())
    assert pauses[0] == pytest.approx(30, abs=1)
    assert pauses == pytest.approx(sorted(pauses))
    assert pauses[-1] == pytest.approx(3600, abs=1)


def test_old_baskets_are_forgotten() -> None:
    old, new = Basket.objects.create(), Basket.objects.create()
    Basket.objects.filter(id=old.id).update(
        created_at=timezone.now() - services.BASKET_LIFETIME - timedelta(hours=1)
    )
    services.forget_old_baskets()
    assert list(Basket.objects.all()) == [new]
