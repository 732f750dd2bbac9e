"""What the shop sells."""

from django.core.validators import MinValueValidator
from django.db import models


class Product(models.Model):
    """A thing with a price; how many there are is in orders.Stock."""

    name = models.CharField(max_length=100)
    slug = models.SlugField(max_length=100, unique=True)
    category = models.CharField(max_length=40, db_index=True)
    description = models.TextField(blank=True)
    price = models.DecimalField(max_digits=10, decimal_places=2, validators=[MinValueValidator(0)])
    active = models.BooleanField(default=True, help_text="Only active products are shown and can be ordered.")

    class Meta:
        ordering = ("name", "id")

    def __str__(self) -> str:
        return self.name
