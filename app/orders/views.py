"""The API of baskets and orders."""

from uuid import UUID

from django.shortcuts import get_object_or_404
from rest_framework import status, viewsets
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from orders import services
from orders.models import Basket, Order
from orders.serializers import BasketItemSerializer, BasketSerializer, NewOrderSerializer, OrderSerializer


class BasketViewSet(viewsets.ViewSet):
    """Baskets; the id is the key to one."""

    def create(self, request: Request) -> Response:
        """A new, empty basket."""
        return Response(BasketSerializer(Basket.objects.create()).data, status=status.HTTP_201_CREATED)

    def retrieve(self, request: Request, pk: UUID) -> Response:
        """A basket."""
        return Response(BasketSerializer(get_object_or_404(Basket, id=pk)).data)

    def put_item(self, request: Request, pk: UUID) -> Response:
        """Set the quantity of a product in the basket."""
        item = BasketItemSerializer(data=request.data)
        item.is_valid(raise_exception=True)
        try:
            basket = services.put_in_basket(
                pk, item.validated_data["product_id"], item.validated_data["quantity"]
            )
        except services.NoSuchBasketError as error:
            raise NotFound(str(error)) from error
        except services.OrderError as error:
            raise ValidationError({"detail": str(error)}) from error
        return Response(BasketSerializer(basket).data)


class OrderViewSet(viewsets.ViewSet):
    """Orders; the id is the key to one."""

    def create(self, request: Request) -> Response:
        """Order a basket: 201 and `pending`, or 200 if it was ordered before."""
        wanted = NewOrderSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        try:
            order, created = services.place_order(
                wanted.validated_data["basket"], wanted.validated_data["email"]
            )
        except services.OrderError as error:
            raise ValidationError({"detail": str(error)}) from error
        return Response(
            OrderSerializer(order).data, status=status.HTTP_201_CREATED if created else status.HTTP_200_OK
        )

    def retrieve(self, request: Request, pk: UUID) -> Response:
        """An order."""
        return Response(
            OrderSerializer(get_object_or_404(Order.objects.prefetch_related("lines"), id=pk)).data
        )
