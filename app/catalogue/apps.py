"""The app of products."""

from django.apps import AppConfig


class CatalogueConfig(AppConfig):
    """Keeps the cached pages in line with the products."""

    name = "catalogue"

    def ready(self) -> None:
        """Forget the cached pages when a product changes."""
        from django.db.models.signals import post_delete, post_save  # noqa: PLC0415 - models exist only now

        from catalogue import listing  # noqa: PLC0415
        from catalogue.models import Product  # noqa: PLC0415

        post_save.connect(listing.forget, sender=Product)
        post_delete.connect(listing.forget, sender=Product)
