"""Cached reads of the catalogue, shared by the API and the shop's pages."""

import math
from typing import TypedDict

from django.db import transaction

from catalogue import cache
from catalogue.models import Product

MAX_PAGE_SIZE = 100


class ProductData(TypedDict):
    """A product as the API shows it."""

    id: int
    name: str
    slug: str
    category: str
    description: str
    price: str


class Page(TypedDict):
    """One page of products."""

    count: int
    page: int
    pages: int
    results: list[ProductData]


def page(number: int, size: int, category: str = "") -> Page | None:
    """The page with this number, counted from 1, or nothing if there is none."""
    return cache.remember(f"page:{number}:{size}:{category}", lambda: _read_page(number, size, category))


def product(product_id: int) -> ProductData | None:
    """An active product."""
    return cache.remember(f"product:{product_id}", lambda: _read_product(product_id))


def categories() -> list[str]:
    """The categories that have products."""
    return cache.remember(
        "categories",
        lambda: list(
            Product.objects.filter(active=True)
            .order_by("category")
            .values_list("category", flat=True)
            .distinct()
        ),
    )


def forget(**_signal: object) -> None:
    """Forget what is cached, once the change that calls this is committed."""
    transaction.on_commit(cache.forget_all)


def _read_page(number: int, size: int, category: str) -> Page | None:
    products = Product.objects.filter(active=True)
    if category:
        products = products.filter(category=category)
    count = products.count()
    pages = max(math.ceil(count / size), 1)
    if number > pages or (category and not count):
        return None  # not cached: what doesn't exist has no bound
    start = (number - 1) * size
    return {
        "count": count,
        "page": number,
        "pages": pages,
        "results": [_data(found) for found in products[start : start + size]],
    }


def _read_product(product_id: int) -> ProductData | None:
    found = Product.objects.filter(active=True, id=product_id).first()
    return None if found is None else _data(found)


def _data(product: Product) -> ProductData:
    return {
        "id": product.id,
        "name": product.name,
        "slug": product.slug,
        "category": product.category,
        "description": product.description,
        "price": str(product.price),
    }
