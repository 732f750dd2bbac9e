"""The app that measures and shows how the shop runs."""

from django.apps import AppConfig


class OperationsConfig(AppConfig):
    """Registers the probes of the worker."""

    name = "operations"

    def ready(self) -> None:
        """Connect the Celery signals; they fire in worker processes only."""
        from operations import worker  # noqa: PLC0415 - needs the app registry

        worker.connect()
