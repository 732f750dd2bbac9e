"""Products in the admin."""

from typing import ClassVar

from django.contrib import admin

from catalogue.models import Product
from orders.models import Stock


class StockInline(admin.StackedInline):
    """The stock beside its product."""

    model = Stock
    can_delete = False


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):
    """Products and their stock."""

    list_display = ("name", "category", "price", "active")
    list_filter = ("category", "active")
    list_editable = ("price", "active")
    search_fields = ("name", "description")
    prepopulated_fields: ClassVar = {"slug": ("name",)}
    inlines = (StockInline,)
