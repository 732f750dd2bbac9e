"""What the dashboard page shows: tiles, plots and tables of a report."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from operations import plots, text
from operations.figures import Figure
from operations.measurements import NOT_EXPORTED
from operations.plots import Line, Plot
from operations.report import Report

AT_MOST, AT_LEAST = "≤", "≥"
WINDOWS = ("5m", "15m", "1h", "6h", "1d", "7d", "30d")

_PERFORMANCE: dict[str, tuple[str, text.Format]] = {
    "arrival_rate": ("Requests", text.per_second),
    "utilization": ("Utilization", text.coarse_percent),
    "mean": ("Mean", text.seconds),
    "p50": ("p50", text.seconds),
    "p95": ("p95", text.seconds),
    "p99": ("p99", text.seconds),
    "service_time_mean": ("Own time", text.seconds),
}


@dataclass(frozen=True)
class Tile:
    """A figure at a glance. state: good or bad against the promise, or nothing where that can't be said."""

    title: str
    value: str
    predicted: str
    promised: str | None
    state: str
    reason: str | None


@dataclass(frozen=True)
class Cell:
    """Measured over predicted in a table."""

    measured: str
    predicted: str
    state: str
    reason: str | None


@dataclass(frozen=True)
class Row:
    """A line of a table."""

    name: str
    kind: str
    cells: Sequence[Cell]


def context(report: Report, window: str) -> dict[str, Any]:
    """Everything that the page's template needs."""
    return {
        "window": window,
        "windows": WINDOWS,
        "problem": report.measurements.problem,
        "covered": text.ago(report.measurements.window_seconds),
        "has_plan": report.plan is not None,
        "tiles": _tiles(report),
        "plots": [
            plot for plot in (_latency(report), _rate(report), _budget(report), _availability(report)) if plot
        ]
        + ([_cost(report)] if report.plan else []),
        "performance_heads": [title for title, _text in _PERFORMANCE.values()],
        "performance": _performance_rows(report),
        "reliability": _reliability_rows(report),
        "costs": _cost_rows(report),
        "currency": report.currency,
        "routes": _routes(report),
        "promises": report.promises,
    }


def _tiles(report: Report) -> list[Tile]:
    web, requests, money = report.performance[settings.PLAN_WEB_SERVICE], report.requests, report.money
    tiles = [
        _tile("Requests", web["arrival_rate"], text.per_second),
        _tile("p95 response time", web["p95"], text.seconds, AT_MOST, report.promised("p95")),
        _tile(
            "Without error",
            requests["success_ratio"],
            text.percent,
            AT_LEAST,
            report.promised("availability"),
        ),
    ]
    if "error_budget_left" in requests:
        tiles.append(_tile("Error budget left", requests["error_budget_left"], text.percent, AT_LEAST, 0.0))
    cost = money["cost_per_month"]
    tiles.append(_tile(f"Cost a month, {report.currency}", cost, text.amount, AT_MOST, cost.objective))
    tiles.append(_tile("Return on investment", money["roi"], text.coarse_percent))
    return tiles


def _tile(
    title: str, figure: Figure, format_: text.Format, bound: str = "", promised: float | None = None
) -> Tile:
    return Tile(
        title,
        text.maybe(figure.measured.value, format_),
        text.maybe(figure.predicted.value, format_),
        None if promised is None else f"{bound} {format_(promised)}",
        _state(figure.measured.value, bound, promised),
        figure.measured.reason,
    )


def _state(measured: float | None, bound: str, promised: float | None) -> str:
    if measured is None or promised is None:
        return ""
    kept = measured <= promised if bound == AT_MOST else measured >= promised
    return "good" if kept else "bad"


def _latency(report: Report) -> Plot:
    measurements = report.measurements
    found = measurements.percentiles_over_time()
    predicted = report.performance[settings.PLAN_WEB_SERVICE]["p95"]
    expected = (
        predicted.at_measured_load if predicted.at_measured_load is not None else predicted.predicted.value
    )
    lines = [
        Line("p50", "measured-3", found["p50"]),
        Line("p95", "measured", found["p95"]),
        Line("p99", "measured-2", found["p99"]),
        *_constant("p95 predicted for this load", "predicted", expected),
        *_constant("p95 promised", "promised", report.promised("p95")),
    ]
    explanation = "From the proxy's hand-over to the end of the answer; waiting and calls included."
    return plots.over_time(
        "Response time",
        explanation,
        lines,
        window_seconds=measurements.window_seconds,
        step_seconds=measurements.step_seconds,
        text=text.seconds,
    )


def _rate(report: Report) -> Plot:
    measurements = report.measurements
    lines = [
        Line("measured", "measured", measurements.rate_over_time()),
        *_constant(
            "planned",
            "predicted",
            report.performance[settings.PLAN_WEB_SERVICE]["arrival_rate"].predicted.value,
        ),
    ]
    return plots.over_time(
        "Requests",
        "All requests that the web service answered, pages and API.",
        lines,
        window_seconds=measurements.window_seconds,
        step_seconds=measurements.step_seconds,
        text=text.per_second,
    )


def _budget(report: Report) -> Plot | None:
    promised = report.promised("availability")
    if promised is None:
        return None
    measurements = report.measurements
    left = [(moment, 1 - ratio / (1 - promised)) for moment, ratio in measurements.error_ratio_over_time()]
    lines = [
        Line("left", "measured", left),
        *_constant(
            "left at the predicted availability",
            "predicted",
            report.requests["error_budget_left"].predicted.value,
        ),
    ]
    explanation = f"Share of the errors that {text.percent(promised)} allows in this window, not yet used up."
    return plots.over_time(
        "Error budget",
        explanation,
        lines,
        window_seconds=measurements.window_seconds,
        step_seconds=measurements.step_seconds,
        text=text.coarse_percent,
    )


def _availability(report: Report) -> Plot:
    figures = {name: section["availability"] for name, section in report.reliability.items()}
    values = [
        value
        for figure in figures.values()
        for value in (figure.measured.value, figure.predicted.value)
        if value is not None
    ]
    title, explanation = (
        "Availability by service",
        "Share of the time that a service was up; predicted over years.",
    )
    if not values:
        return Plot(title, explanation, (), None, "There are no samples in this window yet.")
    low = min(0.99, *values)
    lines = [
        Line("measured", "measured", [figure.measured.value for figure in figures.values()]),
        Line("predicted", "predicted", [figure.predicted.value for figure in figures.values()]),
    ]
    return plots.dots(
        title,
        explanation,
        list(figures),
        lines,
        low=low - (1 - low) * 0.1,
        high=1.0 + (1 - low) * 0.06,
        text=text.percent,
    )


def _cost(report: Report) -> Plot:
    figures = [section["cost_per_month"] for section in report.costs.values()]
    figures.append(report.money["idle_cost_per_month"])
    return plots.bars(
        "Cost a month",
        f"{report.currency}, by service, at the plan's prices; idle: nodes beyond what the services need.",
        [*report.costs, "idle"],
        [
            Line("running", "measured", [figure.measured.value for figure in figures]),
            Line("planned", "predicted", [figure.predicted.value for figure in figures]),
        ],
        text.amount,
    )


def _constant(name: str, role: plots.Role, value: float | None) -> list[Line]:
    return [] if value is None else [Line(name, role, [value])]


def _cell(figure: Figure, format_: text.Format, bound: str = AT_MOST) -> Cell:
    expected = figure.at_measured_load if figure.at_measured_load is not None else figure.predicted.value
    return Cell(
        text.maybe(figure.measured.value, format_),
        text.maybe(expected, format_),
        _state(figure.measured.value, bound, figure.objective),
        None if figure.measured.reason == NOT_EXPORTED else figure.measured.reason,
    )


def _performance_rows(report: Report) -> list[Row]:
    return [
        Row(
            name,
            kind,
            [
                _cell(report.performance[name][figure], format_)
                for figure, (_title, format_) in _PERFORMANCE.items()
            ],
        )
        for name, kind in report.services.items()
    ]


def _reliability_rows(report: Report) -> list[Row]:
    return [
        Row(
            name,
            kind,
            [_cell(figure, text.percent, AT_LEAST) for figure in report.reliability[name].values()],
        )
        for name, kind in report.services.items()
    ]


def _cost_rows(report: Report) -> list[Row]:
    formats = {"replicas": text.number, "cost_per_month": text.amount}
    return [
        Row(name, kind, [_cell(figure, formats[key]) for key, figure in report.costs[name].items()])
        for name, kind in report.services.items()
    ]


def _routes(report: Report) -> list[tuple[str, list[str]]]:
    return [
        (
            route,
            [
                text.maybe(values.get(key), _PERFORMANCE[key][1])
                for key in ("arrival_rate", "p50", "p95", "p99")
            ],
        )
        for route, values in report.measurements.routes().items()
    ]
