"""The three APIs and the dashboard."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET
from pydantic_core import PydanticCustomError

from groundplan.spec import parse_duration
from operations import dashboard, plan
from operations.figures import Figures
from operations.measurements import Measurements
from operations.prometheus import Prometheus
from operations.report import Report

DEFAULT_WINDOW = "5m"
SHORTEST_SECONDS = 60.0
LONGEST_SECONDS = 30 * 86400.0


class WindowError(ValueError):
    """The window isn't one."""

    def __init__(self, value: str) -> None:
        super().__init__(value)
        self.problem = {
            "what": "the window can't be used",
            "where": "query parameter window",
            "value": value,
            "bound": "a duration from 1m to 30d",
            "fix": "Ask for example with ?window=1h.",
        }


@require_GET
def performance(request: HttpRequest) -> HttpResponse:
    """Request rates, response times and utilization."""

    def content(report: Report) -> dict[str, Any]:
        return {"services": _by_service(report.performance), "routes": report.measurements.routes()}

    return _answer(request, content)


@require_GET
def reliability(request: HttpRequest) -> HttpResponse:
    """Up-time, success of requests and error budget."""

    def content(report: Report) -> dict[str, Any]:
        return {"services": _by_service(report.reliability), "requests": _as_json(report.requests)}

    return _answer(request, content)


@require_GET
def cost_benefit(request: HttpRequest) -> HttpResponse:
    """Cost, benefit and return on investment."""

    def content(report: Report) -> dict[str, Any]:
        return {
            "currency": report.currency,
            "services": _by_service(report.costs),
            "total": _as_json(report.money),
        }

    return _answer(request, content)


@require_GET
def show_dashboard(request: HttpRequest) -> HttpResponse:
    """The same for people, with plots."""
    try:
        report = _report(request)
    except WindowError as error:
        return render(request, "operations/wrong_window.html", error.problem, status=400)
    return render(
        request,
        "operations/dashboard.html",
        dashboard.context(report, request.GET.get("window", DEFAULT_WINDOW)),
    )


def _answer(request: HttpRequest, content: Callable[[Report], dict[str, Any]]) -> HttpResponse:
    try:
        report = _report(request)
    except WindowError as error:
        return JsonResponse({"error": error.problem}, status=400)
    body = content(report)
    measurements = report.measurements
    return JsonResponse(
        {
            "at": datetime.fromtimestamp(measurements.at, UTC).isoformat(timespec="seconds"),
            "window_seconds": measurements.asked_seconds,
            "covered_seconds": measurements.window_seconds,
            "problem": measurements.problem,
            **body,
            "promises": [asdict(promise) for promise in report.promises],
        }
    )


def _report(request: HttpRequest) -> Report:
    window = _window_seconds(request.GET.get("window", DEFAULT_WINDOW))
    return Report(plan.current(), Measurements(_prometheus(), window))


@cache
def _prometheus() -> Prometheus:
    """One client for each process: it keeps its connection."""
    return Prometheus(settings.PROMETHEUS_URL)


def _window_seconds(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except PydanticCustomError as error:
        raise WindowError(text) from error
    if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:  # also refuses "nan"
        raise WindowError(text)
    return seconds


def _by_service(section: Mapping[str, Figures]) -> dict[str, Any]:
    return {name: _as_json(figures) for name, figures in section.items()}


def _as_json(figures: Figures) -> dict[str, Any]:
    return {name: figure.as_json() for name, figure in figures.items()}
