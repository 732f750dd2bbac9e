"""Probes and metrics before Django's own handling, and the measurement of every request."""

import logging
import time
import uuid
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from prometheus_client import CONTENT_TYPE_LATEST

from operations import calls, health, metrics

log = logging.getLogger("shop.requests")

Handler = Callable[[HttpRequest], HttpResponseBase]


class ProbeMiddleware:
    """Answers /healthz, /readyz and /metrics on any host; they don't count as requests of the shop."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a probe or pass the request on."""
        match request.path:
            case "/healthz":
                return HttpResponse("ok\n", content_type="text/plain")
            case "/readyz":
                problem = health.readiness_problem()
                return HttpResponse(
                    f"{problem or 'ok'}\n", content_type="text/plain", status=503 if problem else 200
                )
            case "/metrics":
                return HttpResponse(metrics.render(), content_type=CONTENT_TYPE_LATEST)
        return self.get_response(request)


class MetricsMiddleware:
    """Measures and logs each request."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Pass the request on and record how long it took."""
        arrived = time.time()
        started = time.perf_counter()
        metrics.HTTP_IN_FLIGHT.inc()
        try:
            with calls.record() as waited:
                response = self.get_response(request)
        finally:
            metrics.HTTP_IN_FLIGHT.dec()
        duration = time.perf_counter() - started
        queued = _queue_seconds(request, arrived)
        route = _route(request)
        own = max(duration - waited.total_seconds, 0.0)

        metrics.HTTP_REQUESTS.labels(request.method or "", route, str(response.status_code)).inc()
        metrics.HTTP_DURATION.labels(route).observe(duration)
        metrics.HTTP_DURATION_SQUARED.labels(route).inc(duration**2)
        metrics.HTTP_OWN.labels(route).inc(own)
        metrics.HTTP_OWN_SQUARED.labels(route).inc(own**2)
        for kind, count in waited.count.items():
            metrics.HTTP_CALLS.labels(route, kind).inc(count)
            metrics.HTTP_CALL_SECONDS.labels(route, kind).inc(waited.seconds[kind])
        if queued is not None:
            metrics.HTTP_QUEUE.observe(queued)
        metrics.HTTP_RESPONSE.labels(route).observe(duration + (queued or 0.0))
        log.info(
            "request",
            extra={
                "method": request.method,
                "path": request.path,
                "route": route,
                "status": response.status_code,
                "duration_seconds": round(duration, 6),
                "queue_seconds": queued and round(queued, 3),
                "request_id": request.headers.get("X-Request-ID") or uuid.uuid4().hex,
            },
        )
        return response


class SecurityHeadersMiddleware:
    """Sends the content security policy."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Pass the request on and add the header."""
        response = self.get_response(request)
        response.headers["Content-Security-Policy"] = settings.CONTENT_SECURITY_POLICY
        return response


def _route(request: HttpRequest) -> str:
    """A label with few values: the pattern that matched, not the path that was asked for."""
    match = request.resolver_match
    if match is not None:
        return "/admin/" if match.app_name == "admin" else f"/{match.route}"
    return "/static/" if request.path.startswith(settings.STATIC_URL) else "unmatched"


def _queue_seconds(request: HttpRequest, arrived: float) -> float | None:
    """Time since the proxy's `X-Request-Start: t=<seconds>`; nothing without one that makes sense."""
    sent = request.headers.get("X-Request-Start", "").removeprefix("t=")
    try:
        queued = arrived - float(sent)
    except ValueError:
        return None
    # Clocks of two machines may differ a little; a wait beyond any time-out is a wrong header, not a wait.
    return max(queued, 0.0) if -1 < queued < 600 else None  # also refuses "nan"
