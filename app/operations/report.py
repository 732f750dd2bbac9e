"""Measured beside predicted: what the three APIs and the dashboard show."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cached_property
from typing import SupportsFloat

from django.conf import settings

from groundplan.models import cost as cost_model
from groundplan.models import performance as performance_model
from groundplan.models.cost import CostEstimate
from groundplan.models.performance import PerformancePrediction
from groundplan.models.plan import Promise
from groundplan.spec import System
from operations.figures import Figure, Figures, Reading
from operations.measurements import NOT_EXPORTED, Measurements
from operations.plan import Plan

NO_PLAN = "PLAN_FILE isn't set, so nothing is predicted"
_UNKNOWN = "the plan doesn't say enough to predict this"
_STATED = "this is stated in the plan, not measured"
_PERFORMANCE_UNITS = {
    "arrival_rate": "requests/s",
    "mean": "s",
    "p50": "s",
    "p95": "s",
    "p99": "s",
    "utilization": "ratio",
    "service_time_mean": "s",
    "service_time_scv": "ratio",
}
_DEPENDS_ON_LOAD = frozenset({"mean", "p50", "p95", "p99", "utilization"})
_MILLION = 1e6
_SECONDS_PER_MONTH = float(cost_model.HOURS_PER_MONTH) * 3600


class Report:
    """All figures of one moment and window; each part is worked out when it is asked for."""

    def __init__(self, plan: Plan | None, measurements: Measurements) -> None:
        self.plan = plan
        self.measurements = measurements
        self._web = settings.PLAN_WEB_SERVICE

    @property
    def services(self) -> Mapping[str, str]:
        """Kind of each service by its name; without a plan, those that the application knows."""
        if self.plan:
            return {name: service.kind for name, service in self.plan.system.services.items()}
        return {settings.PLAN_WEB_SERVICE: "service", settings.PLAN_WORKER_SERVICE: "worker"}

    @property
    def currency(self) -> str:
        """Currency of all amounts."""
        return self.plan.evaluation.cost.currency if self.plan else "unknown"

    @property
    def promises(self) -> tuple[Promise, ...]:
        """The plan's promises and its verdicts."""
        return self.plan.evaluation.promises if self.plan else ()

    def promised(self, metric: str) -> float | None:
        """What is promised to those who use the web service."""
        return self.plan.promised(metric) if self.plan else None

    @cached_property
    def performance(self) -> Mapping[str, Figures]:
        """Request rate, response times, utilization and own service time of each service."""
        return {name: self._performance(name) for name in self.services}

    @cached_property
    def reliability(self) -> Mapping[str, Figures]:
        """Availability of each service alone, and with all that it requires."""
        return {name: self._reliability(name, kind) for name, kind in self.services.items()}

    @cached_property
    def requests(self) -> Figures:
        """Success of the web service's requests, and what is left of their error budget."""
        errors = self.measurements.error_ratio()
        predicted = self._predict(
            lambda plan: plan.evaluation.reliability.services[self._web].path_availability
        )
        promised = self.promised("availability")
        figures = {
            "success_ratio": Figure("ratio", errors.map(lambda ratio: 1 - ratio), predicted, promised),
        }
        if promised is not None:
            allowed = 1 - promised
            burn = errors.map(lambda ratio: ratio / allowed)
            burn_predicted = predicted.map(lambda availability: (1 - availability) / allowed)
            figures["burn_rate"] = Figure("ratio", burn, burn_predicted, 1.0)
            figures["error_budget_left"] = Figure(
                "ratio", burn.map(lambda rate: 1 - rate), burn_predicted.map(lambda rate: 1 - rate), 0.0
            )
        return figures

    @cached_property
    def costs(self) -> Mapping[str, Figures]:
        """Replicas and cost per month of each service."""
        return {name: self._cost(name) for name in self.services}

    @cached_property
    def money(self) -> Figures:
        """Cost of the whole and of a million requests, benefit and return on investment."""
        rate = self.performance[self._web]["arrival_rate"]
        cost = self._spend(lambda running: running.total)
        cost_predicted = self._predict(lambda plan: plan.evaluation.cost.total)
        budget = self.plan.system.budget if self.plan else None
        benefit = self.plan.system.benefit if self.plan else None
        roi = self.plan.evaluation.roi if self.plan else None
        stated = Reading(reason=_STATED)
        return {
            "cost_per_month": Figure(
                self.currency, cost, cost_predicted, float(budget.amount_per_month) if budget else None
            ),
            "idle_cost_per_month": Figure(
                self.currency,
                self._spend(lambda running: running.idle),
                self._predict(lambda plan: plan.evaluation.cost.idle),
            ),
            "cost_per_million_requests": Figure(
                self.currency,
                _per_million_requests(cost, rate.measured),
                _per_million_requests(cost_predicted, rate.predicted),
            ),
            "benefit_per_month": Figure(
                self.currency,
                stated,
                self._predict(lambda _plan: benefit.amount_per_month if benefit else None),
            ),
            "roi": Figure(
                "ratio",
                self._spend(self._roi_of),
                self._predict(lambda _plan: roi.ratio if roi else None),
            ),
            "payback_months": Figure(
                "months", stated, self._predict(lambda _plan: roi.payback_months if roi else None)
            ),
        }

    # parts

    def _performance(self, name: str) -> Figures:
        figures = {}
        for figure, unit in _PERFORMANCE_UNITS.items():
            missing = Reading(reason=self.measurements.problem or NOT_EXPORTED)
            now = (
                self._predicted_now.services[name]
                if self._predicted_now and figure in _DEPENDS_ON_LOAD
                else None
            )
            slo = self.plan.system.services[name].slo if self.plan else None
            figures[figure] = Figure(
                unit,
                self._performance_readings[name].get(figure, missing),
                self._predicted_performance(name, figure),
                getattr(slo, figure, None),
                getattr(now, figure, None),
            )
        return figures

    def _predicted_performance(self, name: str, figure: str) -> Reading:
        if figure.startswith("service_time_"):
            part = figure.removeprefix("service_time_")
            return self._predict(lambda plan: getattr(plan.system.services[name].service_time, part, None))
        return self._predict(lambda plan: getattr(plan.evaluation.performance.services[name], figure))

    def _reliability(self, name: str, kind: str) -> Figures:
        slo = self.plan.system.services[name].slo if self.plan else None
        return {
            "availability": Figure(
                "ratio",
                self.measurements.availability(name, kind),
                self._predict(lambda plan: plan.evaluation.reliability.services[name].availability),
            ),
            "path_availability": Figure(
                "ratio",
                self.measurements.path_availability(kind),
                self._predict(lambda plan: plan.evaluation.reliability.services[name].path_availability),
                slo.availability if slo else None,
            ),
        }

    def _cost(self, name: str) -> Figures:
        return {
            "replicas": Figure(
                "replicas",
                self._replicas[name],
                self._predict(lambda plan: plan.evaluation.performance.services[name].replicas),
            ),
            "cost_per_month": Figure(
                self.currency,
                self._spend(lambda running: running.services[name]),
                self._predict(lambda plan: plan.evaluation.cost.services[name]),
            ),
        }

    def _predict(self, read: Callable[[Plan], SupportsFloat | None]) -> Reading:
        return Reading.of(read(self.plan), _UNKNOWN) if self.plan else Reading(reason=NO_PLAN)

    def _spend(self, read: Callable[[CostEstimate], SupportsFloat | None]) -> Reading:
        """Something of the cost of what runs now."""
        if self._running is None:
            return Reading(reason=NO_PLAN if not self.plan else self._unseen)
        return Reading.of(read(cost_model.estimate(self._running)), _UNKNOWN)

    def _roi_of(self, running: CostEstimate) -> Decimal | None:
        system = self.plan.system if self.plan else None
        if system is None or system.benefit is None or system.benefit.currency != running.currency:
            return None
        invested = system.investment.amount if system.investment else Decimal(0)
        return cost_model.roi(
            running.total, system.benefit.amount_per_month, running.currency, invested
        ).ratio

    # what runs now

    @cached_property
    def _performance_readings(self) -> Mapping[str, Mapping[str, Reading]]:
        return {name: self.measurements.performance(name, kind) for name, kind in self.services.items()}

    @cached_property
    def _replicas(self) -> Mapping[str, Reading]:
        return {name: self.measurements.replicas(name) for name in self.services}

    @property
    def _unseen(self) -> str:
        return next(reading.reason for reading in self._replicas.values() if reading.reason) or ""

    @cached_property
    def _running(self) -> System | None:
        """The system with the load and the replicas of now, as far as they are measured."""
        replicas = {
            name: round(reading.value)
            for name, reading in self._replicas.items()
            if reading.value is not None
        }
        if self.plan is None or not replicas:
            return None
        return self.plan.as_measured(self._performance_readings[self._web]["arrival_rate"].value, replicas)

    @cached_property
    def _predicted_now(self) -> PerformancePrediction | None:
        return performance_model.predict(self._running) if self._running else None


def _per_million_requests(cost_per_month: Reading, requests_per_second: Reading) -> Reading:
    return cost_per_month.per(requests_per_second.map(lambda rate: rate * _SECONDS_PER_MONTH / _MILLION))
