"""Alert rules that follow from promises: how fast the error budget is used, and whether answers are slow."""

import functools
from collections.abc import Mapping
from importlib import resources
from typing import Any, TypedDict

import yaml

from groundplan.spec import Slo
from pulumi_groundplan.base import Manifest

ERROR_RATIO = "service:http_request_errors:ratio_rate"
_PERCENTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}


class BurnRate(TypedDict):
    """One row of the table of burn rates."""

    severity: str
    burn_rate: float
    long: str
    short: str
    budget_used: float


@functools.cache
def burn_rates() -> tuple[BurnRate, ...]:
    """The table of burn rates; its source is named in the file."""
    text = (resources.files("pulumi_groundplan") / "data" / "burn_rates.yaml").read_text(encoding="utf-8")
    return tuple(yaml.safe_load(text))


def silent_burn_rates(slo: Slo) -> list[BurnRate]:
    """The rows that can never fire, because even a total outage uses the error budget more slowly."""
    if slo.availability is None:
        return []
    budget = 1 - slo.availability
    return [row for row in burn_rates() if row["burn_rate"] * budget >= 1]


def rule_groups(slos: Mapping[str, Slo], response_time_metric: str) -> Manifest:
    """Prometheus rule groups for the promises by service name.

    response_time_metric: name, without `_bucket`, of the histogram of response times in seconds.
    """
    groups = []
    for name, slo in sorted(slos.items()):
        rules = [*_availability(name, slo), *_latency(name, slo, response_time_metric)]
        if rules:
            groups.append({"name": f"promise-{name}", "rules": rules})
    return {"groups": groups}


def _availability(name: str, slo: Slo) -> list[dict[str, Any]]:
    if slo.availability is None:
        return []
    silent = silent_burn_rates(slo)
    rows = [row for row in burn_rates() if row not in silent]
    windows = dict.fromkeys(window for row in rows for window in (row["short"], row["long"]))
    select = f'service="{name}"'
    recorded: list[dict[str, Any]] = [
        {
            "record": f"{ERROR_RATIO}{window}",
            "expr": f'(sum(rate(http_requests_total{{{select},status=~"5.."}}[{window}])) or vector(0)) '
            f"/ sum(rate(http_requests_total{{{select}}}[{window}]))",
            "labels": {"service": name},
        }
        for window in windows
    ]
    budget = 1 - slo.availability
    alerts = []
    for row in rows:
        threshold = f"{row['burn_rate'] * budget:.10g}"
        alerts.append(
            {
                "alert": "ErrorBudgetBurn",
                "expr": f"{ERROR_RATIO}{row['long']}{{{select}}} > {threshold} "
                f"and {ERROR_RATIO}{row['short']}{{{select}}} > {threshold}",
                "labels": {"service": name, "severity": row["severity"], "window": row["long"]},
                "annotations": {
                    "summary": f"{name} uses its error budget {row['burn_rate']:g} times too fast",
                    "description": f"It promises availability {slo.availability:g}; "
                    f"{row['budget_used']:.0%} of the budget of 30 days went in {row['long']}.",
                },
            }
        )
    return recorded + alerts


def _latency(name: str, slo: Slo, metric: str) -> list[dict[str, Any]]:
    alerts = []
    for field, quantile in _PERCENTILES.items():
        bound = getattr(slo, field)
        if bound is None:
            continue
        within = f'sum by (le) (rate({metric}_bucket{{service="{name}"}}[5m]))'
        alerts.append(
            {
                "alert": "SlowResponses",
                "expr": f"histogram_quantile({quantile:g}, {within}) > {bound:g}",
                # one window is a moment; ten minutes of them are a broken promise
                "for": "10m",
                "labels": {"service": name, "severity": "ticket", "percentile": field},
                "annotations": {
                    "summary": f"{field} of {name} is above {bound:g} s",
                    "description": f"{name} promises {quantile:.0%} of its answers within {bound:g} s.",
                },
            }
        )
    return alerts
