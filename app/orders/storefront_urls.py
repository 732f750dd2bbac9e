"""Addresses of the shop's pages."""

from django.urls import path

from orders import storefront

urlpatterns = [
    path("", storefront.front_page, name="front"),
    path("basket/", storefront.show_basket, name="basket"),
    path("basket/items/", storefront.put_item, name="put-item"),
    path("basket/order/", storefront.order, name="place-order"),
    path("order/<uuid:order_id>/", storefront.show_order, name="order"),
]
