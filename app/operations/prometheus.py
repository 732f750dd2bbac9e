"""Asks Prometheus, and says why there is no answer."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

# A page asks some dozens of questions; the first one that isn't answered in time ends them all.
_TIMEOUT = httpx.Timeout(2.0, connect=1.0)


class PrometheusError(Exception):
    """Prometheus can't be asked; the text says why, for people."""


@dataclass(frozen=True)
class Series:
    """One time series: its labels and its (Unix time, value) points, oldest first."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


class Prometheus:
    """The HTTP API at an address such as `http://monitoring:9090`."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._client = httpx.Client(
            timeout=_TIMEOUT, trust_env=False
        )  # a proxy for the internet isn't one for the cluster

    def now(self, query: str, at: float) -> list[Series]:
        """The series of an instant query, one point each; values that are no numbers are left out."""
        data = self._ask("query", {"query": query, "time": at})
        return _series(data, "value")

    def over_time(self, query: str, start: float, end: float, step_seconds: float) -> list[Series]:
        """The series of a range query."""
        data = self._ask("query_range", {"query": query, "start": start, "end": end, "step": step_seconds})
        return _series(data, "values")

    def _ask(self, endpoint: str, parameters: dict[str, Any]) -> dict[str, Any]:
        if not self._url:
            raise PrometheusError("PROMETHEUS_URL isn't set, so nothing is measured")
        try:
            answer = self._client.post(f"{self._url}/api/v1/{endpoint}", data=parameters)
            body = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise PrometheusError(f"Prometheus doesn't answer ({type(error).__name__})") from error
        if body.get("status") != "success":
            raise PrometheusError(f"Prometheus refused the query: {body.get('error', answer.status_code)}")
        found: dict[str, Any] = body["data"]
        return found


def _series(data: dict[str, Any], key: str) -> list[Series]:
    found = []
    for result in data["result"]:
        pairs = [result[key]] if key == "value" else result[key]
        points = [(float(time), float(value)) for time, value in pairs]
        finite = tuple((time, value) for time, value in points if math.isfinite(value))
        if finite:
            found.append(Series(result["metric"], finite))
    return found
