"""Probes and metrics before Django's own handling, and the measurement of every request."""

import logging
import time
import uuid
from collections.abc import Callable, Iterable, Iterator

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import URLPattern, URLResolver, get_resolver
from prometheus_client import CONTENT_TYPE_LATEST

from operations import calls, health, metrics

log = logging.getLogger("shop.requests")

_ADMIN, _STATIC, _UNMATCHED = "/admin/", "/static/", "unmatched"

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
        if response.status_code >= 500:
            metrics.HTTP_ERRORS.labels(route).inc()
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


def known_routes() -> Iterator[str]:
    """All values of the label `route`."""
    yield from (_ADMIN, _STATIC, _UNMATCHED)
    yield from _routes_below(get_resolver().url_patterns, "/")


def _routes_below(patterns: Iterable[URLPattern | URLResolver], prefix: str) -> Iterator[str]:
    for pattern in patterns:
        route = f"{prefix}{pattern.pattern}"
        if isinstance(pattern, URLPattern):
            yield route
        elif pattern.app_name != "admin":
            yield from _routes_below(pattern.url_patterns, route)


def _route(request: HttpRequest) -> str:
    """A label with few values: the pattern that matched, not the path that was asked for."""
    match = request.resolver_match
    if match is not None:
        return _ADMIN if match.app_name == "admin" else f"/{match.route}"
    return _STATIC if request.path.startswith(settings.STATIC_URL) else _UNMATCHED


def _queue_seconds(request: HttpRequest, arrived: float) -> float | None:
    """Time since the proxy's `X-Request-Start: t=<seconds>`; nothing without one that makes sense."""
    sent = request.headers.get("X-Request-Start", "").removeprefix("t=")
    try:
        queued = arrived - float(sent)
    except ValueError:
        return None
    # Clocks of two machines may differ a little; a wait beyond any time-out is a wrong header, not a wait.
    return max(queued, 0.0) if -1 < queued < 600 else None  # also refuses "nan"
