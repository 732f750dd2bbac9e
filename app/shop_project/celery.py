"""The Celery app of the worker and of whoever sends it events."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop_project.settings")

app = Celery("shop")
app.config_from_object("django.conf:settings.CELERY")
app.autodiscover_tasks(["orders"])
