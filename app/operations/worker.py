"""Measures Celery tasks, probes what the shop depends on, and serves the worker's metrics."""

import logging
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import redis
from celery import Task, bootsteps
from celery.exceptions import Retry
from django.conf import settings
from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from operations import calls, health, metrics
from shop_project.periodic import Periodic

log = logging.getLogger(__name__)

PROBE_INTERVAL_SECONDS = 5.0


class MeasuredTask(Task):  # type: ignore[type-arg]  # has type parameters in the stubs only
    """Records how often a task ended in which state, how long it took and how long it had waited."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task and record it."""
        started_at, started, state = time.time(), time.perf_counter(), "failure"
        with calls.record() as waited:
            try:
                result = super().__call__(*args, **kwargs)
                state = "success"
                return result
            except Retry:
                state = "retry"
                raise
            finally:
                self._record(state, started_at, time.perf_counter() - started, waited)

    def _record(self, state: str, started_at: float, duration: float, waited: calls.Calls) -> None:
        task = self.name
        own = max(duration - waited.total_seconds, 0.0)
        metrics.TASKS.labels(task, state).inc()
        metrics.TASK_DURATION.labels(task).observe(duration)
        metrics.TASK_DURATION_SQUARED.labels(task).inc(duration**2)
        metrics.TASK_OWN.labels(task).inc(own)
        metrics.TASK_OWN_SQUARED.labels(task).inc(own**2)
        for kind, count in waited.count.items():
            metrics.TASK_CALLS.labels(task, kind).inc(count)
            metrics.TASK_CALL_SECONDS.labels(task, kind).inc(waited.seconds[kind])
        sent_at = (self.request.headers or {}).get("sent_at")
        if sent_at is None:
            return
        queued = max(started_at - float(sent_at), 0.0)
        if self.request.retries == 0:  # a later attempt waited on purpose
            metrics.TASK_QUEUE.labels(task).observe(queued)
        if state == "success":
            metrics.TASK_RESPONSE.labels(task).observe(queued + duration)


class Monitor(Collector):
    """The last answers of the probes, and what is read from the broker when Prometheus asks."""

    def __init__(self) -> None:
        self.up: dict[str, bool] = {}
        self._broker = redis.Redis.from_url(
            settings.CELERY_BROKER_URL, socket_connect_timeout=1, socket_timeout=1
        )

    def probe(self) -> None:
        """Ask every dependency once."""
        for kind, answers in health.probes().items():
            self.up[kind] = answers()

    @property
    def ready(self) -> bool:
        """Whether the worker could work on a task now."""
        return self.up.get("database", False) and self.up.get("broker", False)

    def collect(self) -> Iterator[Metric]:
        """The metrics that don't come from the pool's processes."""
        up = GaugeMetricFamily("dependency_up", "1 if the last probe succeeded.", labels=["kind"])
        for kind, answered in dict(self.up).items():
            up.add_metric([kind], float(answered))
        yield up
        yield GaugeMetricFamily(
            "celery_worker_processes", "Processes of the pool.", value=settings.CELERY_WORKER_CONCURRENCY
        )
        try:
            waiting = self._broker.llen(settings.CELERY_TASK_DEFAULT_QUEUE)
        except redis.RedisError as error:
            log.warning("the queue's length is unknown", extra={"error": str(error)})
        else:
            yield GaugeMetricFamily(
                "celery_queue_length", "Messages waiting in the broker.", value=float(waiting)
            )


class MonitorStep(bootsteps.StartStopStep):
    """Starts the monitor after the pool was forked, so that no child inherits a thread's locks."""

    requires = ("celery.worker.components:Pool",)

    def start(self, parent: Any) -> None:
        """Probe, and listen."""
        for task in parent.app.tasks:
            if not task.startswith("celery."):
                metrics.prepare_task(task)
        monitor = Monitor()
        self._probing = Periodic(monitor.probe, PROBE_INTERVAL_SECONDS)
        self._probing.start()
        address = (settings.LISTEN_ADDRESS, settings.WORKER_PORT)
        self._server = ThreadingHTTPServer(address, _handler(monitor))
        Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()

    def stop(self, parent: Any) -> None:
        """Stop both."""
        self._probing.stop()
        self._server.shutdown()
        self._server.server_close()


def _handler(monitor: Monitor) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            match self.path:
                case "/healthz":
                    self._answer(200, b"ok\n")
                case "/readyz":
                    self._answer(
                        *((200, b"ok\n") if monitor.ready else (503, b"database or broker is away\n"))
                    )
                case "/metrics":
                    self._answer(200, metrics.render(monitor), CONTENT_TYPE_LATEST)
                case _:
                    self._answer(404, b"not found\n")

        def _answer(self, status: int, body: bytes, content_type: str = "text/plain") -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            log.debug(format, *args)

    return Handler
