"""A made-up but realistic report."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

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


def service(  # noqa: PLR0917 - a row of a table
    name: str,
    kind: str,
    replicas: int,
    utilization: float | None,
    mean: float,
    p95: float,
    measured: tuple[float, float] | None = None,
    cost: str = "10",
    rate: float = 20.0,
) -> ServiceLine:
    """measured: mean and p95."""
    return ServiceLine(
        name=name,
        kind=kind,
        replicas=replicas,
        utilization=utilization,
        throughput_per_second=Compared(predicted=rate, measured=rate * 0.99 if measured else None),
        mean=Compared(predicted=mean, measured=measured[0] if measured else None),
        p50=Compared(predicted=mean * 0.7, measured=measured[0] * 0.7 if measured else None),
        p95=Compared(predicted=p95, measured=measured[1] if measured else None),
        p99=Compared(predicted=p95 * 1.6, measured=measured[1] * 1.7 if measured else None),
        availability=0.99993,
        path_availability=0.9974,
        cost_per_month=Decimal(cost),
        unmeasured="" if measured else "exports no times of its own",
    )


def report(**changes: Any) -> Report:
    curve = [
        CurvePoint(rate_per_second=r, mean=0.04 / (1 - r / 48), p95=0.11 / (1 - r / 48)) for r in range(1, 47)
    ]
    values: dict[str, Any] = {
        "system": "ecommerce",
        "stack": "ecommerce",
        "cluster": "the embedded cluster default",
        "created_at": datetime(2026, 3, 2, 10, 5, tzinfo=UTC),
        "measured_at": datetime(2026, 3, 2, 10, 4, tzinfo=UTC),
        "addresses": {"shop": "http://127.0.0.1:30080", "prometheus": "http://127.0.0.1:30090"},
        "promises": (
            PromiseLine(
                service="edge", metric="p95", bound=0.4, predicted=0.188, measured=0.172, verdict="holds"
            ),
            PromiseLine(
                service="edge", metric="p99", bound=0.9, predicted=0.31, measured=0.322, verdict="holds"
            ),
            PromiseLine(
                service="edge",
                metric="availability",
                bound=0.999,
                predicted=0.9974,
                verdict="broken",
                reason="the database has one replica",
            ),
            PromiseLine(
                service="orders",
                metric="p95",
                bound=5,
                predicted=None,
                verdict="undecided",
                reason="the service time of mail is unknown",
            ),
            PromiseLine(service="the system", metric="cost", bound=400, predicted=312.4, verdict="holds"),
        ),
        "services": (
            service("edge", "load-balancer", 2, 0.04, 0.0712, 0.188, (0.0689, 0.172), "14.20"),
            service("shop", "service", 2, 0.58, 0.0683, 0.181, (0.0655, 0.166), "96.10", 18),
            service("orders", "worker", 1, 0.22, 0.121, 0.31, (0.149, 0.402), "41.75", 2),
            service("database", "database", 1, 0.31, 0.0041, 0.0102, cost="88.00", rate=54),
            service("cache", "cache", 1, 0.02, 0.0004, 0.0011, cost="22.15", rate=40),
            service("broker", "broker", 1, 0.01, 0.0005, 0.0012, cost="22.15", rate=2),
        ),
        "money": Money(
            currency="USD",
            cost_per_month=Decimal("312.40"),
            budget_per_month=Decimal("400"),
            benefit_per_month=Decimal("12000"),
            idle_per_month=Decimal("28.05"),
            roi=37.41,
            payback_months=0.1,
        ),
        "load": LoadLine(
            rate_offered_per_second=20,
            rate_achieved_per_second=19.8,
            requests=594,
            duration_seconds=30.2,
            error_ratio=0.0034,
            errors={"status 503": 2},
            generator_cpu_share=0.04,
        ),
        "curve": Curve(
            service="edge",
            predicted=tuple(curve),
            measured=(CurvePoint(rate_per_second=19.8, mean=0.0689, p95=0.172),),
            slo_p95=0.4,
            stated_rate_per_second=20,
            capacity_per_second=48,
        ),
        "steps": (StepLine(title="Start the cluster", seconds=18.2), StepLine(title="Deploy", seconds=72)),
        "notes": ("The service times were measured on this machine on 2026-03-02.",),
    }
    return Report(**{**values, **changes})
