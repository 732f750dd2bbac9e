"""Addresses of the API of baskets and orders."""

from django.urls import path

from orders.views import BasketViewSet, OrderViewSet

urlpatterns = [
    path("baskets/", BasketViewSet.as_view({"post": "create"})),
    path("baskets/<uuid:pk>/", BasketViewSet.as_view({"get": "retrieve"})),
    path("baskets/<uuid:pk>/items/", BasketViewSet.as_view({"post": "put_item"})),
    path("orders/", OrderViewSet.as_view({"post": "create"})),
    path("orders/<uuid:pk>/", OrderViewSet.as_view({"get": "retrieve"})),
]
