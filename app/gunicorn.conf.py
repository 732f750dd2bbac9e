"""Gunicorn: sync workers that share one accept queue, so that one replica is one queue with c servers."""

import os
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop_project.settings")
django.setup()

from django.conf import settings  # noqa: E402 - configured by the line above

from operations import metrics, middleware  # noqa: E402
from shop_project import environment  # noqa: E402

bind = f"{settings.LISTEN_ADDRESS}:{settings.WEB_PORT}"
workers = environment.integer("GUNICORN_WORKERS", 2, low=1, high=64)
worker_class = "sync"
worker_tmp_dir = "/tmp"  # noqa: S108 - the writable emptyDir; the root file system is read-only
preload_app = True  # the plan and its libraries are loaded once and shared by the workers
timeout = 30
graceful_timeout = 25
forwarded_allow_ips = "*"  # only the proxy can reach this port: the network policy's business
control_socket_disable = True
logconfig_dict = settings.LOGGING
accesslog = None  # the metrics middleware logs each request


def post_fork(server: Any, worker: Any) -> None:
    """Count the worker process, and start its counters."""
    metrics.prepare_routes(middleware.known_routes())
    metrics.HTTP_WORKER_PROCESSES.set(1)


def child_exit(server: Any, worker: Any) -> None:
    """Drop the gauges of a worker that ended; its counters stay."""
    metrics.forget_process(worker.pid)
