"""The shop's Django project; the Celery app is imported here so that tasks find it."""

from shop_project.celery import app as celery_app

__all__ = ["celery_app"]
