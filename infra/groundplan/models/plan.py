"""Whether a system keeps its promises: each with its prediction, a verdict and the numbers behind it."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from groundplan.models import cost as cost_model
from groundplan.models import performance as performance_model
from groundplan.models import reliability as reliability_model
from groundplan.models.cost import CostEstimate, Roi
from groundplan.models.performance import PerformancePrediction, ServicePerformance
from groundplan.models.reliability import ReliabilityPrediction, ServiceReliability
from groundplan.spec import System

Verdict = Literal["holds", "broken", "undecided"]
Metric = Literal["mean", "p50", "p95", "p99", "availability", "throughput", "budget"]

_TIMES: tuple[Literal["mean", "p50", "p95", "p99"], ...] = ("mean", "p50", "p95", "p99")


@dataclass(frozen=True)
class Promise:
    """One promise and what becomes of it.

    service: None for a promise of the whole system. bound, predicted: seconds, requests per second, a share
    of the time, or an amount per month; `predicted` is None when there is no number. reason: a sentence with
    the numbers. confidence: low when a small error in the load would change the answer a lot.
    """

    service: str | None
    metric: Metric
    bound: float | Decimal
    predicted: float | Decimal | None
    verdict: Verdict
    reason: str
    confidence: performance_model.Confidence = "normal"


@dataclass(frozen=True)
class Evaluation:
    """Everything that is predicted for a system, and its promises."""

    performance: PerformancePrediction
    reliability: ReliabilityPrediction
    cost: CostEstimate
    roi: Roi | None
    promises: tuple[Promise, ...]

    @property
    def holds(self) -> bool:
        """Whether every promise holds; an undecided one doesn't."""
        return all(promise.verdict == "holds" for promise in self.promises)


def evaluate(system: System) -> Evaluation:
    """Judge all promises of a system at its expected load.

    Raises ModelError for a price table that isn't there, or when requests multiply without end.
    """
    performance = performance_model.predict(system)
    reliability = reliability_model.predict(system, performance)
    cost = cost_model.estimate(system)
    promises: list[Promise] = []
    for name, service in system.services.items():
        slo = service.slo
        if slo is None:
            continue
        for metric in _TIMES:
            bound = getattr(slo, metric)
            if bound is not None:
                promises.append(_time(performance.services[name], metric, bound))
        if slo.availability is not None:
            promises.append(_availability(reliability.services[name], slo.availability))
        if slo.throughput is not None:
            promises.append(_throughput(system, performance.services[name], slo.throughput))
    if system.budget is not None:
        promises.append(_budget(cost, system.budget.amount_per_month, system.budget.currency))
    return Evaluation(performance, reliability, cost, _roi(system, cost), tuple(promises))


def _time(
    predicted: ServicePerformance, metric: Literal["mean", "p50", "p95", "p99"], bound: float
) -> Promise:
    name = predicted.name
    if predicted.unknown:
        return Promise(name, metric, bound, None, "undecided", predicted.reason or "")
    if predicted.times is None:
        return Promise(name, metric, bound, None, "broken", f"there is no steady state: {predicted.reason}")
    value: float = getattr(predicted.times, metric)
    verdict: Verdict = "holds" if value <= bound else "broken"
    reason = (
        f"{metric} of {name} is {_seconds(value)} at {predicted.arrival_rate:.4g} requests/s, "
        f"promised {_seconds(bound)}"
    )
    if predicted.confidence == "low":
        reason += "; so close to overload that the prediction is uncertain"
    return Promise(name, metric, bound, value, verdict, reason, predicted.confidence)


def _availability(predicted: ServiceReliability, bound: float) -> Promise:
    value = predicted.path_availability
    if value is None:
        reason = f"unknown: {', '.join(predicted.unknown)}"
        return Promise(predicted.name, "availability", bound, None, "undecided", reason)
    reason = f"{predicted.name} answers {value:.4%} of the time, promised {bound:.4%}"
    if value >= bound:
        return Promise(predicted.name, "availability", bound, value, "holds", reason)
    if predicted.replicas is not None and predicted.needed > predicted.replicas:
        reason += f"; its load needs {predicted.needed} replicas of {predicted.replicas}"
    elif weak := predicted.single_points_of_failure:
        named = list(
            dict.fromkeys(
                f"{item.kind} {item.name}" if item.kind == "service" else item.name for item in weak
            )
        )
        reason += f"; single points of failure: {', '.join(named)}"
    return Promise(predicted.name, "availability", bound, value, "broken", reason)


def _throughput(system: System, predicted: ServicePerformance, bound: float) -> Promise:
    name = predicted.name
    if predicted.unknown:
        return Promise(name, "throughput", bound, None, "undecided", predicted.reason or "")
    value = performance_model.greatest_throughput(system, name)
    if value is None:
        return Promise(name, "throughput", bound, None, "holds", f"nothing limits the throughput of {name}")
    reason = f"{name} carries up to {value:.4g} requests/s, promised {bound:.4g}"
    return Promise(name, "throughput", bound, value, "holds" if value >= bound else "broken", reason)


def _budget(cost: CostEstimate, bound: Decimal, currency: str) -> Promise:
    if currency != cost.currency:
        reason = f"the budget is in {currency}, the prices are in {cost.currency}"
        return Promise(None, "budget", bound, None, "undecided", reason)
    reason = f"the system costs {cost.total} {currency} a month, the budget is {bound}"
    if cost.total > bound:
        return Promise(None, "budget", bound, cost.total, "broken", reason)
    if cost.unknown:
        reason = f"the known part costs {cost.total} {currency} a month; unknown: {', '.join(cost.unknown)}"
        return Promise(None, "budget", bound, None, "undecided", reason)
    return Promise(None, "budget", bound, cost.total, "holds", reason)


def _roi(system: System, cost: CostEstimate) -> Roi | None:
    """The return; None when no benefit is stated, costs are unknown or currencies differ."""
    benefit, investment = system.benefit, system.investment
    if benefit is None or cost.unknown or benefit.currency != cost.currency:
        return None
    if investment is not None and investment.currency != cost.currency:
        return None
    spent_once = investment.amount if investment else Decimal(0)
    return cost_model.roi(cost.total, benefit.amount_per_month, cost.currency, investment=spent_once)


def _seconds(value: float) -> str:
    return f"{value * 1000:.4g} ms" if value < 1 else f"{value:.4g} s"
