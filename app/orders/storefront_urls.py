"""Addresses of the shop's pages."""

from django.templatetags.static import static
from django.urls import path
from django.views.generic import RedirectView

from orders import storefront

urlpatterns = [
    path("", storefront.front_page, name="front"),
    path("favicon.ico", RedirectView.as_view(url=static("orders/icon.svg"))),
    path("basket/", storefront.show_basket, name="basket"),
    path("basket/items/", storefront.put_item, name="put-item"),
    path("basket/order/", storefront.order, name="place-order"),
    path("order/<uuid:order_id>/", storefront.show_order, name="order"),
]
