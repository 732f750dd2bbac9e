"""Orders in the admin: to look at; the worker decides them."""

from django.contrib import admin
from django.http import HttpRequest

from orders.models import Order, OrderLine


class _ReadOnly:
    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody adds these by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody changes these by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody deletes these by hand."""
        return False


class OrderLineInline(_ReadOnly, admin.TabularInline):
    """The lines of an order."""

    model = OrderLine
    extra = 0


@admin.register(Order)
class OrderAdmin(_ReadOnly, admin.ModelAdmin):
    """Orders and where they stand."""

    list_display = ("id", "status", "email", "created_at", "decided_at")
    list_filter = ("status", "created_at")
    search_fields = ("id", "email")
    date_hierarchy = "created_at"
    inlines = (OrderLineInline,)
