"""The Prometheus metrics of web and worker; README.md says what each one means."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess
from prometheus_client.registry import Collector

# Ten buckets a decade from 1 ms to 10 s: an interpolated percentile is off by a few percent.
_BUCKETS_SECONDS = tuple(float(f"{10 ** (exponent / 10):.3g}") for exponent in range(-30, 11))

HTTP_REQUESTS = Counter("http_requests", "Requests answered.", ["method", "route", "status"])
HTTP_ERRORS = Counter("http_request_errors", "Requests answered with a server error.", ["route"])
HTTP_DURATION = Histogram(
    "http_request_duration_seconds",
    "Time in the worker, calls included.",
    ["route"],
    buckets=_BUCKETS_SECONDS,
)
HTTP_DURATION_SQUARED = Counter(
    "http_request_duration_seconds_squared", "Sum of the squares of the time in the worker.", ["route"]
)
HTTP_OWN = Counter("http_request_own_seconds", "Time in the worker without the calls.", ["route"])
HTTP_OWN_SQUARED = Counter("http_request_own_seconds_squared", "Sum of its squares.", ["route"])
HTTP_CALLS = Counter("http_request_calls", "Calls that requests waited for.", ["route", "kind"])
HTTP_CALL_SECONDS = Counter("http_request_call_seconds", "Time in these calls.", ["route", "kind"])
HTTP_QUEUE = Histogram(
    "http_request_queue_seconds", "Time from the proxy to the worker.", buckets=_BUCKETS_SECONDS
)
HTTP_RESPONSE = Histogram(
    "http_response_time_seconds", "Queue and service together.", ["route"], buckets=_BUCKETS_SECONDS
)
HTTP_IN_FLIGHT = Gauge("http_requests_in_flight", "Requests in a worker now.", multiprocess_mode="livesum")
HTTP_WORKER_PROCESSES = Gauge("http_worker_processes", "Worker processes alive.", multiprocess_mode="livesum")

CACHE_ERRORS = Counter("cache_errors", "Times that the cache was given up and the database asked instead.")

TASKS = Counter("celery_tasks", "Tasks ended.", ["task", "state"])
TASK_DURATION = Histogram(
    "celery_task_duration_seconds", "Time in the worker, calls included.", ["task"], buckets=_BUCKETS_SECONDS
)
TASK_DURATION_SQUARED = Counter(
    "celery_task_duration_seconds_squared", "Sum of the squares of the time in the worker.", ["task"]
)
TASK_OWN = Counter("celery_task_own_seconds", "Time in the worker without the calls.", ["task"])
TASK_OWN_SQUARED = Counter("celery_task_own_seconds_squared", "Sum of its squares.", ["task"])
TASK_CALLS = Counter("celery_task_calls", "Calls that tasks waited for.", ["task", "kind"])
TASK_CALL_SECONDS = Counter("celery_task_call_seconds", "Time in these calls.", ["task", "kind"])
TASK_QUEUE = Histogram(
    "celery_task_queue_seconds", "Time from sending to start.", ["task"], buckets=_BUCKETS_SECONDS
)
TASK_RESPONSE = Histogram(
    "celery_task_response_time_seconds", "Queue and service together.", ["task"], buckets=_BUCKETS_SECONDS
)


def prepare_routes(routes: Iterable[str]) -> None:
    """Start the counters of these routes at zero: Prometheus doesn't see the increase to a first value."""
    for route in routes:
        for metric in (
            HTTP_ERRORS,
            HTTP_DURATION,
            HTTP_DURATION_SQUARED,
            HTTP_OWN,
            HTTP_OWN_SQUARED,
            HTTP_RESPONSE,
        ):
            metric.labels(route)


def prepare_task(task: str) -> None:
    """Start the counters of this task at zero."""
    TASKS.labels(task, "success")
    for metric in (
        TASK_DURATION,
        TASK_DURATION_SQUARED,
        TASK_OWN,
        TASK_OWN_SQUARED,
        TASK_QUEUE,
        TASK_RESPONSE,
    ):
        metric.labels(task)


def render(*extra: Collector) -> bytes:
    """The text that Prometheus reads: the metrics of all processes of this replica, then the extra ones."""
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    for collector in extra:
        registry.register(collector)
    return generate_latest(registry)


def forget_process(pid: int) -> None:
    """Drop the gauges of a process that ended; its counters stay."""
    multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]
