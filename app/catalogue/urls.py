"""Addresses of the catalogue's API."""

from django.urls import path

from catalogue.views import ProductViewSet

urlpatterns = [
    path("products/", ProductViewSet.as_view({"get": "list"})),
    path("products/<int:pk>/", ProductViewSet.as_view({"get": "retrieve"})),
]
