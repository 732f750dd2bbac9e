"""What Prometheus measured of this deployment over a window of time.

A figure that isn't there is a reading without value but with the reason; nothing is made up or raised.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from django.conf import settings

from operations.figures import Reading
from operations.prometheus import Prometheus, PrometheusError, Series

NO_SAMPLES = "there are no samples in this window"
NOT_EXPORTED = "nothing in this deployment exports this figure"

_POINTS = 120
_SHORTEST_SECONDS = 10.0
_PROBED_KINDS = ("database", "cache", "broker")
_PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


Timeline = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class _Source:
    """How the metrics of web or worker are named."""

    response: str
    duration: str
    own: str
    calls: str
    processes: str


_WEB = _Source(
    "http_response_time_seconds",
    "http_request_duration_seconds",
    "http_request_own_seconds",
    "http_request_call",
    "http_worker_processes",
)
_WORKER = _Source(
    "celery_task_response_time_seconds",
    "celery_task_duration_seconds",
    "celery_task_own_seconds",
    "celery_task_call",
    "celery_worker_processes",
)


class Measurements:
    """Readings of one moment, over the window before it or as much of it as has samples."""

    def __init__(self, prometheus: Prometheus, window_seconds: float, at: float | None = None) -> None:
        self._prometheus = prometheus
        self.asked_seconds = window_seconds
        self.at = time.time() if at is None else at
        self.problem: str | None = None
        """Why Prometheus gives nothing at all, once that is known."""

    @cached_property
    def window_seconds(self) -> float:
        """The part of the window that has samples, so that a young deployment's rates aren't thinned."""
        resolution = max(1.0, self.asked_seconds / 1000)
        first = self._scalar(
            f"min(min_over_time(timestamp(up)[{self.asked_seconds:.0f}s:{resolution:.0f}s]))"
        ).value
        if first is None:
            return self.asked_seconds
        return min(max(self.at - first + resolution, _SHORTEST_SECONDS), self.asked_seconds)

    # performance

    def performance(self, name: str, kind: str) -> Mapping[str, Reading]:
        """Request rate, response times (seconds), utilization and service time of a service of the plan."""
        if name == settings.PLAN_WEB_SERVICE:
            return self._measured_inside(_WEB)
        if name == settings.PLAN_WORKER_SERVICE:
            return self._measured_inside(_WORKER)
        if kind in ("database", "cache"):
            return self._measured_by_callers(kind)
        return {}

    def _measured_inside(self, source: _Source) -> Mapping[str, Reading]:
        readings = {
            "arrival_rate": self._scalar(self._rate(f"{source.duration}_count")),
            "mean": self._scalar(self._mean(source.response)),
        }
        for label, quantile in _PERCENTILES.items():
            buckets = f"sum by (le) (rate({source.response}_bucket[{self._window}]))"
            readings[label] = self._scalar(f"histogram_quantile({quantile}, {buckets})")
        busy, processes = (
            self._rate(f"{source.duration}_sum"),
            f"sum(avg_over_time({source.processes}[{self._window}]))",
        )
        readings["utilization"] = self._scalar(f"{busy} / {processes}")
        own_mean = f"{self._rate(f'{source.own}_total')} / {self._rate(f'{source.duration}_count')}"
        own_square = f"{self._rate(f'{source.own}_squared_total')} / {self._rate(f'{source.duration}_count')}"
        readings["service_time_mean"] = self._scalar(own_mean)
        readings["service_time_scv"] = self._scalar(f"({own_square}) / ({own_mean})^2 - 1")
        return readings

    def _measured_by_callers(self, kind: str) -> Mapping[str, Reading]:
        def both(name: str) -> str:
            metrics = "|".join(f"{source.calls}{name}" for source in (_WEB, _WORKER))
            return f'sum(rate({{__name__=~"{metrics}",kind="{kind}"}}[{self._window}]))'

        calls, seconds = both("s_total"), both("_seconds_total")
        return {"arrival_rate": self._scalar(calls), "mean": self._scalar(f"{seconds} / {calls}")}

    def routes(self) -> Mapping[str, Mapping[str, float]]:
        """Request rate and percentiles (seconds) of each route that was asked for, busiest first."""
        found: dict[str, dict[str, float]] = {}
        rate = f"sum by (route) (rate(http_response_time_seconds_count[{self._window}])) > 0"
        queries = {"arrival_rate": f"sort_desc({rate})"}
        for label, quantile in _PERCENTILES.items():
            buckets = f"sum by (le, route) (rate(http_response_time_seconds_bucket[{self._window}]))"
            queries[label] = f"histogram_quantile({quantile}, {buckets})"
        for figure, query in queries.items():
            for series in self._series(query):
                found.setdefault(series.labels["route"], {})[figure] = series.points[-1][1]
        return found

    def percentiles_over_time(self) -> Mapping[str, Timeline]:
        """p50, p95 and p99 of the web service's response time, seconds."""
        buckets = f"sum by (le) (rate(http_response_time_seconds_bucket[{self._step}]))"
        return {
            label: self._timeline(f"histogram_quantile({quantile}, {buckets})")
            for label, quantile in _PERCENTILES.items()
        }

    def rate_over_time(self) -> Timeline:
        """Requests per second of the web service."""
        return self._timeline(f"sum(rate(http_request_duration_seconds_count[{self._step}]))")

    # reliability

    def error_ratio(self) -> Reading:
        """Share of the web service's answers that were server errors."""
        failed = self._rate("http_request_errors_total")
        return self._scalar(f"{failed} / {self._rate('http_request_duration_seconds_count')}")

    def error_ratio_over_time(self) -> Timeline:
        """The same for each moment of the window, over the time since its start."""
        points = []
        start = self.at - self.window_seconds
        failed = self._timeline(f"sum(increase(http_request_errors_total[{self._step}]))")
        served = dict(self._timeline(f"sum(increase(http_request_duration_seconds_count[{self._step}]))"))
        failed_sum = served_sum = 0.0
        for moment, count in failed:
            if moment < start or moment not in served:
                continue
            failed_sum, served_sum = failed_sum + count, served_sum + served[moment]
            if served_sum > 0:
                points.append((moment, failed_sum / served_sum))
        return tuple(points)

    def availability(self, name: str, kind: str) -> Reading:
        """Share of the time that the service was up since it was first seen in the window.

        A replicated service is up while a replica answers Prometheus; database, cache and broker are up
        while a worker's probe reaches them.
        """
        moments, by_service, by_kind = self._availability_samples
        return self._share_of_time(
            moments, by_service.get(name) or (by_kind.get(kind) if kind in _PROBED_KINDS else None)
        )

    def path_availability(self, kind: str) -> Reading:
        """Share of the time that a worker's request through the load balancer to the shop succeeded."""
        if kind != "load-balancer":
            return Reading(reason=NOT_EXPORTED)
        moments, _by_service, by_kind = self._availability_samples
        return self._share_of_time(moments, by_kind.get(kind))

    def replicas(self, name: str) -> Reading:
        """Replicas that are up now."""
        return self._scalar(f'sum(up{{service="{name}"}})')

    def _share_of_time(self, moments: list[float], seen: dict[float, float] | None) -> Reading:
        if not seen:
            return Reading(reason=self.problem or NO_SAMPLES)
        # What Prometheus no longer finds was down; a moment without any samples tells nothing.
        expected = [moment for moment in moments if moment >= min(seen)]
        return Reading(sum(seen.get(moment, 0.0) for moment in expected) / len(expected))

    @cached_property
    def _availability_samples(
        self,
    ) -> tuple[list[float], dict[str, dict[float, float]], dict[str, dict[float, float]]]:
        step = max(5.0, self.window_seconds / _POINTS)
        resolution = max(5.0, step / 30)
        found: list[dict[str, dict[float, float]]] = []
        for label, query in (("service", "max by (service) (up)"), ("kind", "max by (kind) (dependency_up)")):
            over_step = f"avg_over_time(({query})[{step:.0f}s:{resolution:.0f}s])"
            series = self._range(over_step, step)
            found.append({item.labels[label]: dict(item.points) for item in series if label in item.labels})
        by_service, by_kind = found
        moments = sorted(
            {moment for points in [*by_service.values(), *by_kind.values()] for moment in points}
        )
        return moments, by_service, by_kind

    # questions

    @property
    def _window(self) -> str:
        return f"{self.window_seconds:.0f}s"

    @property
    def step_seconds(self) -> float:
        """Time between two points of a line."""
        return max(self.window_seconds / _POINTS, 5.0)

    @property
    def _step(self) -> str:
        # Wide enough that a rate sees two samples at any usual scrape interval.
        return f"{max(self.step_seconds, 60.0):.0f}s"

    def _rate(self, metric: str) -> str:
        return f"sum(rate({metric}[{self._window}]))"

    def _mean(self, histogram: str) -> str:
        return f"{self._rate(f'{histogram}_sum')} / {self._rate(f'{histogram}_count')}"

    def _scalar(self, query: str) -> Reading:
        series = self._series(query)
        if series:
            return Reading(series[0].points[-1][1])
        return Reading(reason=self.problem or NO_SAMPLES)

    def _timeline(self, query: str) -> Timeline:
        series = self._range(query, self.step_seconds)
        return series[0].points if series else ()

    def _series(self, query: str) -> list[Series]:
        if self.problem:
            return []
        try:
            return self._prometheus.now(query, self.at)
        except PrometheusError as error:
            self.problem = str(error)
            return []

    def _range(self, query: str, step_seconds: float) -> list[Series]:
        if self.problem:
            return []
        try:
            return self._prometheus.over_time(query, self.at - self.window_seconds, self.at, step_seconds)
        except PrometheusError as error:
            self.problem = str(error)
            return []
