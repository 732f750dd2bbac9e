"""The catalogue: pages, the cache and its loss."""

import signal
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from catalogue.models import Product
from orders.models import Stock
from tests.app.servers import Redis

pytestmark = pytest.mark.usefixtures("shop")


@pytest.fixture
def products() -> list[Product]:
    return [
        Product.objects.create(
            name=f"Thing {number}",
            slug=f"thing-{number}",
            category="Even" if number % 2 == 0 else "Odd",
            price="9.50",
        )
        for number in range(5)
    ]


def get(path: str, status: int = 200) -> Any:
    answer = Client().get(path)
    assert answer.status_code == status, answer.content
    return answer.json()


def test_a_page_lists_active_products_by_name(products: list[Product]) -> None:
    Product.objects.filter(id=products[0].id).update(active=False)
    page = get("/api/products/?page=2&page_size=3")
    assert (page["count"], page["pages"], page["page"]) == (4, 2, 2)
    assert [product["name"] for product in page["results"]] == ["Thing 4"]
    assert page["results"][0]["price"] == "9.50"


def test_a_category_can_be_chosen(products: list[Product]) -> None:
    assert get("/api/products/?category=Odd")["count"] == 2


@pytest.mark.parametrize(
    "query", ["page=0", "page=x", "page_size=101", "page_size=0", "category=" + "x" * 41]
)
def test_a_wrong_parameter_is_named(query: str) -> None:
    assert query.split("=", maxsplit=1)[0] in get(f"/api/products/?{query}", status=400)


@pytest.mark.parametrize(
    "path", ["/api/products/?page=2", "/api/products/?category=None", "/api/products/999999/"]
)
def test_what_is_not_there_is_not_found(path: str, products: list[Product]) -> None:
    get(path, status=404)


def test_a_page_that_was_read_comes_from_the_cache(products: list[Product]) -> None:
    first = get("/api/products/")
    with CaptureQueriesContext(connection) as queries:
        assert get("/api/products/") == first
    assert len(queries) == 0


@pytest.mark.parametrize("change", ["save", "create", "delete"])
def test_a_change_is_seen_at_once(products: list[Product], change: str) -> None:
    before = get("/api/products/")
    if change == "save":
        products[0].name = "Changed"
        products[0].save()
    elif change == "create":
        Product.objects.create(name="New", slug="new", category="Odd", price=1)
    else:
        products[0].delete()
    assert get("/api/products/") != before


def test_a_product_shows_the_stock_of_this_moment(products: list[Product]) -> None:
    stock = Stock.objects.create(product=products[0], quantity=3)
    path = f"/api/products/{products[0].id}/"
    assert get(path)["in_stock"] == 3
    stock.quantity = 2
    stock.save()
    assert get(path)["in_stock"] == 2


def test_without_the_cache_the_database_answers(products: list[Product], redis_cache: Redis) -> None:
    with_cache = get("/api/products/")
    redis_cache.stop(signal.SIGKILL)
    assert get("/api/products/") == with_cache
    products[0].name = "Changed while the cache was away"
    products[0].save()
    assert products[0].name in [product["name"] for product in get("/api/products/")["results"]]


def test_seeding_twice_changes_nothing_the_second_time(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("ADMIN_USERNAME", "admin")
    monkeypatch.setenv("ADMIN_PASSWORD", "correct horse")
    call_command("seed")
    some = Product.objects.order_by("id")[0]
    some.price = 1
    some.save()
    count = Product.objects.count()
    assert count > 20
    call_command("seed")
    assert "0 products created" in capsys.readouterr().out
    assert Product.objects.count() == count
    assert Product.objects.get(id=some.id).price == 1
    assert Client().login(username="admin", password="correct horse")
