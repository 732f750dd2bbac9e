"""The catalogue's API."""

from django.conf import settings
from rest_framework import serializers, viewsets
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from catalogue import listing
from orders.models import Stock


class PageQuery(serializers.Serializer[None]):
    """The parameters of a listing."""

    page = serializers.IntegerField(min_value=1, max_value=1_000_000, default=1)
    page_size = serializers.IntegerField(min_value=1, max_value=listing.MAX_PAGE_SIZE, default=20)
    category = serializers.CharField(max_length=40, default="", allow_blank=True)


class ProductViewSet(viewsets.ViewSet):
    """Reads of products."""

    def list(self, request: Request) -> Response:
        """A page of products, cached; what is in stock changes with every order and isn't part of it."""
        query = PageQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        wanted = query.validated_data
        page = listing.page(wanted["page"], wanted["page_size"], wanted["category"])
        if page is None:
            raise NotFound("There is no such page of products.")
        return Response({"currency": settings.CURRENCY, **page})

    def retrieve(self, request: Request, pk: str) -> Response:
        """One product, cached, with the stock of this moment."""
        product = listing.product(int(pk))
        if product is None:
            raise NotFound("There is no such product.")
        stock = Stock.objects.filter(product_id=product["id"]).values_list("quantity", flat=True).first()
        return Response({"currency": settings.CURRENCY, **product, "in_stock": stock or 0})
