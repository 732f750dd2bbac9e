"""Creates the products of the data file that are missing, and the admin user that the environment names."""

import json
import os
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.management import BaseCommand, CommandError
from django.db import transaction

from catalogue.models import Product
from orders.models import Stock

DATA_FILE = Path(__file__).resolve().parents[2] / "data" / "products.json"


class Command(BaseCommand):
    """Fills an empty shop; what a person changed since stays as it is."""

    help = __doc__

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        """Run."""
        created = 0
        for entry in json.loads(DATA_FILE.read_text(encoding="utf-8")):
            quantity = entry.pop("stock")
            product, new = Product.objects.get_or_create(slug=entry.pop("slug"), defaults=entry)
            Stock.objects.get_or_create(product=product, defaults={"quantity": quantity})
            created += new
        self.stdout.write(f"{created} products created, {Product.objects.count()} in the shop")
        self._create_admin()

    def _create_admin(self) -> None:
        name, password = os.environ.get("ADMIN_USERNAME", ""), os.environ.get("ADMIN_PASSWORD", "")
        if bool(name) != bool(password):
            raise CommandError("ADMIN_USERNAME and ADMIN_PASSWORD must be set together")
        if name and not User.objects.filter(username=name).exists():
            User.objects.create_superuser(name, password=password)
            self.stdout.write(f"admin user {name} created")
