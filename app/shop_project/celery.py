"""The Celery app of the worker and of whoever sends it events."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop_project.settings")

app = Celery("shop", task_cls="operations.worker:MeasuredTask")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["orders"])
# Named, not imported: they need Django's settings, which the worker has by the time it loads them.
app.steps["worker"].update({"operations.worker:MonitorStep", "orders.outbox:OutboxStep"})
