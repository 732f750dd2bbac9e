"""JSON of baskets and orders."""

from typing import Any

from rest_framework import serializers

from orders.models import MAX_QUANTITY, Basket, BasketItem, Order, OrderLine


class BasketItemSerializer(serializers.ModelSerializer[BasketItem]):
    """One item of a basket."""

    product = serializers.IntegerField(source="product_id", min_value=1, max_value=2**63 - 1)
    name = serializers.CharField(source="product.name", read_only=True)
    quantity = serializers.IntegerField(min_value=0, max_value=MAX_QUANTITY, default=1)
    amount = serializers.DecimalField(max_digits=14, decimal_places=2, read_only=True)

    class Meta:
        model = BasketItem
        fields = ("product", "name", "quantity", "amount")


class BasketSerializer(serializers.ModelSerializer[Basket]):
    """A basket with its items."""

    items = serializers.SerializerMethodField()

    class Meta:
        model = Basket
        fields = ("id", "created_at", "items")

    def get_items(self, basket: Basket) -> list[dict[str, Any]]:
        """The items with the names of their products, read at once."""
        return [dict(BasketItemSerializer(item).data) for item in basket.items.select_related("product")]


class OrderLineSerializer(serializers.ModelSerializer[OrderLine]):
    """One line of an order."""

    class Meta:
        model = OrderLine
        fields = ("product", "name", "unit_price", "quantity")


class OrderSerializer(serializers.ModelSerializer[Order]):
    """An order with its lines."""

    lines = OrderLineSerializer(many=True)
    total = serializers.DecimalField(max_digits=14, decimal_places=2)

    class Meta:
        model = Order
        fields = ("id", "status", "reason", "created_at", "decided_at", "lines", "total")


class NewOrderSerializer(serializers.Serializer[None]):
    """What a customer sends to order."""

    basket = serializers.UUIDField()
    email = serializers.EmailField(required=False, default="", allow_blank=True)
