"""The shop as a person sees it: plain pages and forms, no script."""

from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST, require_safe

from catalogue import listing
from orders import services
from orders.models import MAX_QUANTITY, Basket, Order

COOKIE = "basket"
PAGE_SIZE = 24


class PageForm(forms.Form):
    """The parameters of the front page."""

    page = forms.IntegerField(min_value=1, max_value=1_000_000, required=False)
    category = forms.CharField(max_length=40, required=False)


class ItemForm(forms.Form):
    """A product and how many of it."""

    product = forms.IntegerField(min_value=1, max_value=2**63 - 1)
    quantity = forms.IntegerField(min_value=0, max_value=MAX_QUANTITY)


@require_safe
def front_page(request: HttpRequest) -> HttpResponse:
    """The products."""
    form = PageForm(request.GET)
    if not form.is_valid():
        raise Http404("There is no such page.")
    category = form.cleaned_data["category"]
    page = listing.page(form.cleaned_data["page"] or 1, PAGE_SIZE, category)
    if page is None:
        raise Http404("There is no such page.")
    context = {
        "page": page,
        "category": category,
        "categories": listing.categories(),
        "currency": settings.CURRENCY,
    }
    return render(request, "orders/front_page.html", context)


@require_POST
def put_item(request: HttpRequest) -> HttpResponse:
    """Put a product into the basket, or change how many."""
    form = ItemForm(request.POST)
    if not form.is_valid():
        messages.error(request, f"Choose a product and a quantity from 0 to {MAX_QUANTITY}.")
        return redirect("basket")
    response = redirect("basket")
    basket = _basket(request) or Basket.objects.create()
    try:
        services.put_in_basket(basket.id, form.cleaned_data["product"], form.cleaned_data["quantity"])
    except services.OrderError as error:
        messages.error(request, str(error))
    response.set_signed_cookie(
        COOKIE,
        str(basket.id),
        max_age=services.BASKET_LIFETIME,
        httponly=True,
        secure=settings.SECURE_COOKIES,
        samesite="Lax",
    )
    return response


@require_GET
def show_basket(request: HttpRequest) -> HttpResponse:
    """What is in the basket."""
    basket = _basket(request)
    items = list(basket.items.select_related("product")) if basket else []
    context = {
        "items": items,
        "total": sum(item.amount for item in items),
        "max_quantity": MAX_QUANTITY,
        "currency": settings.CURRENCY,
    }
    return render(request, "orders/basket.html", context)


@require_POST
def order(request: HttpRequest) -> HttpResponse:
    """Order what is in the basket."""
    basket_id = _basket_id(request)
    if basket_id is None:
        return redirect("basket")
    try:
        placed, _created = services.place_order(basket_id)
    except services.OrderError as error:
        messages.error(request, str(error))
        return redirect("basket")
    response: HttpResponseRedirect = redirect("order", placed.id)
    response.delete_cookie(COOKIE)
    return response


@require_GET
def show_order(request: HttpRequest, order_id: UUID) -> HttpResponse:
    """Where an order stands."""
    found = get_object_or_404(Order.objects.prefetch_related("lines"), id=order_id)
    response = render(request, "orders/order.html", {"order": found, "currency": settings.CURRENCY})
    if found.status == Order.Status.PENDING:
        response.headers["Refresh"] = "1"
    return response


def _basket_id(request: HttpRequest) -> UUID | None:
    signed = request.get_signed_cookie(COOKIE, default=None, max_age=services.BASKET_LIFETIME)
    return UUID(signed) if signed else None


def _basket(request: HttpRequest) -> Basket | None:
    basket_id = _basket_id(request)
    return Basket.objects.filter(id=basket_id).first() if basket_id else None
