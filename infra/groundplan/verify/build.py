"""The report of a system, from its predictions and what was measured."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from groundplan.models import performance
from groundplan.models.performance import PerformancePrediction
from groundplan.models.plan import Evaluation, Promise, evaluate
from groundplan.spec import System
from groundplan.verify.calibrate import rate_at
from groundplan.verify.measure import Measurement
from groundplan.verify.report import (
    Compared,
    Curve,
    CurvePoint,
    LoadLine,
    Money,
    PromiseLine,
    Report,
    ServiceLine,
    StepLine,
)

WHOLE_SYSTEM = "the system"
_CURVE_POINTS = 48
_CURVE_UTILIZATION = 0.97
_UNMEASURED = "tells no times of its own"


def build(
    system: System,
    *,
    stack: str,
    cluster: str,
    entry: str,
    addresses: Mapping[str, str],
    measurements: Sequence[Measurement] = (),
    steps: Sequence[StepLine] = (),
    notes: Sequence[str] = (),
) -> Report:
    """The report. `measurements`: the last one is compared in detail, all of them are points of the curve.

    Raises ModelError when the system can't be predicted at all.
    """
    evaluation = evaluate(system)
    measurement = measurements[-1] if measurements else None
    compared = evaluation.performance
    if measurement:
        compared = performance.predict(system, {entry: measurement.load.rate_offered_per_second})
    return Report(
        system=system.name,
        stack=stack,
        cluster=cluster,
        created_at=datetime.now(UTC),
        measured_at=measurement.measured_at if measurement else None,
        addresses=dict(addresses),
        promises=tuple(_promise(promise, measurement) for promise in evaluation.promises),
        services=tuple(_service(name, system, evaluation, compared, measurement) for name in system.services),
        money=_money(system, evaluation),
        load=_load(measurement) if measurement else None,
        curve=_curve(system, entry, measurements),
        steps=tuple(steps),
        notes=tuple(notes),
    )


def _promise(promise: Promise, measurement: Measurement | None) -> PromiseLine:
    measured = None
    found = measurement.services.get(promise.service or "") if measurement else None
    if found and promise.metric in {"mean", "p50", "p95", "p99"}:
        measured = getattr(found, promise.metric)
    verdict, reason = promise.verdict, promise.reason
    if measured is not None and measured > promise.bound and verdict != "broken":
        verdict, reason = "broken", f"measured {measured:.3g} s, though predicted otherwise"
    return PromiseLine(
        service=promise.service or WHOLE_SYSTEM,
        metric="cost" if promise.metric == "budget" else promise.metric,
        bound=float(promise.bound),
        predicted=None if promise.predicted is None else float(promise.predicted),
        measured=measured,
        verdict=verdict,
        reason=reason,
    )


def _service(
    name: str,
    system: System,
    evaluation: Evaluation,
    compared: PerformancePrediction,
    measurement: Measurement | None,
) -> ServiceLine:
    predicted = compared.services[name]
    reliability = evaluation.reliability.services[name]
    found = measurement.services.get(name) if measurement else None

    def pair(metric: str) -> Compared:
        return Compared(
            predicted=getattr(predicted, metric), measured=getattr(found, metric) if found else None
        )

    return ServiceLine(
        name=name,
        kind=system.services[name].kind,
        replicas=predicted.replicas,
        utilization=predicted.utilization,
        throughput_per_second=Compared(
            predicted=predicted.throughput, measured=found.throughput_per_second if found else None
        ),
        mean=pair("mean"),
        p50=pair("p50"),
        p95=pair("p95"),
        p99=pair("p99"),
        availability=reliability.availability,
        path_availability=reliability.path_availability,
        cost_per_month=evaluation.cost.services.get(name),
        unmeasured=_UNMEASURED if measurement and found is None else "",
    )


def _money(system: System, evaluation: Evaluation) -> Money:
    cost, roi = evaluation.cost, evaluation.roi
    return Money(
        currency=cost.currency,
        cost_per_month=cost.total,
        budget_per_month=system.budget.amount_per_month if system.budget else None,
        benefit_per_month=system.benefit.amount_per_month if system.benefit else None,
        idle_per_month=cost.idle if cost.idle > Decimal(0) else None,
        roi=float(roi.ratio) if roi and roi.ratio is not None else None,
        payback_months=float(roi.payback_months) if roi and roi.payback_months is not None else None,
    )


def _load(measurement: Measurement) -> LoadLine:
    result = measurement.load
    return LoadLine(
        rate_offered_per_second=result.rate_offered_per_second,
        rate_achieved_per_second=result.rate_achieved_per_second,
        requests=result.requests,
        duration_seconds=result.duration_seconds,
        error_ratio=result.error_ratio,
        errors=result.errors,
        generator_cpu_share=result.generator_cpu_share,
        problems=result.problems,
    )


def _curve(system: System, entry: str, measurements: Sequence[Measurement]) -> Curve | None:
    """Response time of the entry from no load to near saturation; None when it can't be predicted."""
    service = system.services[entry]
    stated = performance.predict(system).services[entry]
    if service.load is None or stated.unknown:
        return None
    highest = rate_at(system, entry, _CURVE_UTILIZATION)
    points = []
    for number in range(1, _CURVE_POINTS + 1):
        rate = highest * number / _CURVE_POINTS
        times = performance.predict(system, {entry: rate}).services[entry].times
        if times is None:
            break
        points.append(CurvePoint(rate_per_second=rate, mean=times.mean, p95=times.p95))
    return Curve(
        service=entry,
        predicted=tuple(points),
        measured=tuple(
            CurvePoint(
                rate_per_second=measurement.load.rate_offered_per_second,
                mean=measurement.load.latency.mean,
                p95=measurement.load.latency.p95,
            )
            for measurement in measurements
            if measurement.load.latency
        ),
        slo_p95=service.slo.p95 if service.slo else None,
        stated_rate_per_second=service.load.arrival_rate,
        capacity_per_second=rate_at(system, entry, 1.0),
    )
