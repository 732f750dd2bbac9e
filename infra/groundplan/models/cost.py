"""What a system costs each month, and what it returns.

A workload is charged for what it requests or uses, whichever is more. Where whole nodes are paid for, the
rest of them is the idle cost. A month has 730 hours. Money is `Decimal`, rounded to cents at the end.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Literal

from groundplan.errors import ModelError
from groundplan.models import finance
from groundplan.models.performance import arrival_rates, replicas_at_load
from groundplan.models.tables import PriceTable, price_table
from groundplan.spec import Service, System

HOURS_PER_MONTH = Decimal(730)
_GIB = Decimal(2**30)
_CENT = Decimal("0.01")

Replicas = Literal["minimum", "expected", "maximum"]


@dataclass(frozen=True)
class CostEstimate:
    """Cost per month of a system.

    services: cost of each service's pods, storage and load balancers. idle: what is paid for nodes beyond
    that. total: both. unknown: fields that are missing; then `total` is only a lower bound.
    """

    services: Mapping[str, Decimal]
    idle: Decimal
    total: Decimal
    currency: str
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Roi:
    """Return of a system over a number of months.

    ratio: (benefit - cost) / cost over these months, investment included; 1 is 100 %. None without cost.
    net_per_month: benefit - cost. payback_months: until the investment is back, 0 without one, None when
    never. net_present_value: at the stated yearly discount rate. internal_rate_of_return: per year, None when
    undefined.
    """

    ratio: Decimal | None
    net_per_month: Decimal
    payback_months: Decimal | None
    net_present_value: Decimal
    internal_rate_of_return: float | None
    months: int
    currency: str


def estimate(system: System, replicas: Replicas = "expected") -> CostEstimate:
    """Cost per month with the fewest, the expected or the most replicas of every service.

    Raises ModelError for a price table that isn't there.
    """
    prices = price_table(system.price_table)
    rates = arrival_rates(system)
    services: dict[str, Decimal] = {}
    unknown: list[str] = []
    cpu = memory = Decimal(0)
    for name, service in system.services.items():
        if service.kind == "external":
            services[name] = Decimal(0)
            continue
        count = _count(service, rates[name], replicas)
        missing = [field for field in ("cpu", "memory") if getattr(service, field) is None]
        if count is None:
            missing.append("replicas")
            count = 0
        unknown += [f"services.{name}.{field}" for field in missing]
        cores = max(Decimal(repr(service.cpu or 0.0)) * count, _used_cores(service, rates[name]))
        gibibytes = Decimal(repr(service.memory or 0.0)) / _GIB * count
        stored = Decimal(repr(service.storage or 0.0)) / _GIB * count
        services[name] = (
            _compute(prices, cores, gibibytes)
            + stored * prices.storage_gib_month
            + service.provider_load_balancers * prices.load_balancer_hour * HOURS_PER_MONTH
        )
        cpu += cores
        memory += gibibytes
    idle = Decimal(0)
    if prices.billing == "nodes":
        assets = _nodes(system, prices)
        if assets is None:
            unknown += [
                f"platform.{f}"
                for f in ("nodes", "node_cpu", "node_memory")
                if getattr(system.platform, f) is None
            ]
        else:
            idle = max(assets - _compute(prices, cpu, memory), Decimal(0))
    total = sum(services.values(), idle)
    return CostEstimate(
        {name: _cents(amount) for name, amount in services.items()},
        _cents(idle),
        _cents(total),
        prices.currency,
        tuple(unknown),
    )


def roi(
    cost_per_month: Decimal,
    benefit_per_month: Decimal,
    currency: str,
    investment: Decimal = Decimal(0),
    *,
    months: int = 36,
    discount_rate_per_year: Decimal = Decimal("0.08"),
) -> Roi:
    """Return over `months` of a system that costs and brings in the same every month."""
    if months < 1:
        raise ModelError("months is out of range", value=months, bound="at least 1")
    net = benefit_per_month - cost_per_month
    spent = cost_per_month * months + investment
    monthly = (1 + discount_rate_per_year) ** (Decimal(1) / 12) - 1
    flows = [-investment, *[net] * months]
    rate = finance.irr(flows)
    return Roi(
        ratio=(benefit_per_month * months - spent) / spent if spent else None,
        net_per_month=_cents(net),
        payback_months=finance.payback(flows),
        net_present_value=_cents(finance.npv(monthly, flows)),
        internal_rate_of_return=None if rate is None else (1 + rate) ** 12 - 1,
        months=months,
        currency=currency,
    )


def marginal_cost_of_availability(
    cheaper: Decimal, cheaper_availability: float, dearer: Decimal, dearer_availability: float
) -> Decimal | None:
    """Extra cost for each hour of downtime that the dearer plan avoids; None when it avoids none."""
    hours = (Decimal(repr(dearer_availability)) - Decimal(repr(cheaper_availability))) * HOURS_PER_MONTH
    return (dearer - cheaper) / hours if hours > 0 else None


def _count(service: Service, rate: float, replicas: Replicas) -> int | None:
    if service.autoscaling is None or replicas == "expected":
        return replicas_at_load(service, rate)
    return service.autoscaling.min if replicas == "minimum" else service.autoscaling.max


def _used_cores(service: Service, rate: float) -> Decimal:
    if service.service_time is None:
        return Decimal(0)
    return Decimal(repr(rate * service.service_time.mean * service.service_time.cpu_share))


def _compute(prices: PriceTable, cores: Decimal, gibibytes: Decimal) -> Decimal:
    return (cores * prices.cpu_hour + gibibytes * prices.memory_gib_hour) * HOURS_PER_MONTH


def _nodes(system: System, prices: PriceTable) -> Decimal | None:
    """Cost of the nodes per month; None when their number or size is unknown."""
    platform = system.platform
    if platform.nodes is None or platform.node_cpu is None or platform.node_memory is None:
        return None
    cores = platform.machine_cpu if platform.machine_cpu is not None else platform.nodes * platform.node_cpu
    gibibytes = Decimal(repr(platform.nodes * platform.node_memory)) / _GIB
    return _compute(prices, Decimal(repr(cores)), gibibytes)


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(_CENT, rounding=ROUND_HALF_EVEN)
