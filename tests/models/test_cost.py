from decimal import Decimal

import pytest

from groundplan.errors import ModelError
from groundplan.models import cost
from groundplan.models.tables import price_table, price_tables
from groundplan.spec import Service, System, build_system

GIB = 2**30


def system(service: dict[str, object], **fields: object) -> System:
    return build_system({"name": "s", "price_table": "aws", "services": {"one": service}} | fields, "test")


def test_a_month_has_730_hours() -> None:
    assert cost.HOURS_PER_MONTH * Decimal("0.10") == 73


def test_a_service_is_charged_for_its_requests() -> None:
    estimate = cost.estimate(system({"replicas": 2, "cpu": "500m", "memory": "2Gi", "storage": "10Gi"}))
    prices = price_table("aws")
    expected = (
        2 * (Decimal("0.5") * prices.cpu_hour + 2 * prices.memory_gib_hour) * 730
        + 20 * prices.storage_gib_month
    )
    assert estimate.services["one"] == expected.quantize(Decimal("0.01"))
    assert estimate.total == estimate.services["one"]
    assert (estimate.idle, estimate.currency) == (Decimal(0), "USD")
    assert not estimate.unknown


def test_use_beyond_the_request_is_charged() -> None:
    busy = {
        "replicas": 1,
        "concurrency": 9,
        "cpu": 1,
        "memory": 0.001 * GIB,
        "service_time": {"mean": 0.5},
        "load": {"arrival_rate": 8},
    }
    idle = busy | {"load": {"arrival_rate": 0}}
    spent = cost.estimate(system(busy)).total - cost.estimate(system(idle)).total
    assert spent == pytest.approx(3 * price_table("aws").cpu_hour * 730, abs=Decimal("0.01"))


def test_load_balancers_of_the_provider_are_billed_by_the_hour() -> None:
    estimate = cost.estimate(system({"replicas": 0, "cpu": 1, "memory": 1, "provider_load_balancers": 2}))
    assert estimate.total == (2 * price_table("aws").load_balancer_hour * 730).quantize(Decimal("0.01"))


def test_own_nodes_are_paid_for_whether_used_or_not() -> None:
    platform = {"nodes": 2, "node_cpu": 4, "node_memory": "8Gi"}
    small = cost.estimate(
        system({"replicas": 1, "cpu": 1, "memory": "1Gi"}, price_table="on-premises", platform=platform)
    )
    prices = price_table("on-premises")
    nodes = (8 * prices.cpu_hour + 16 * prices.memory_gib_hour) * 730
    assert small.total == nodes.quantize(Decimal("0.01"))
    assert small.idle == pytest.approx(nodes - small.services["one"], abs=Decimal("0.01"))


def test_an_autoscaled_service_costs_least_at_its_minimum_and_most_at_its_maximum() -> None:
    scaled = system(
        {
            "autoscaling": {"min": 2, "max": 6, "target_cpu_utilization": 0.5},
            "cpu": 1,
            "memory": "1Gi",
            "service_time": {"mean": 0.1},
            "load": {"arrival_rate": 20},
        }
    )
    low, expected, high = (cost.estimate(scaled, at).total for at in ("minimum", "expected", "maximum"))
    assert expected == pytest.approx(2 * low, abs=Decimal("0.02"))
    assert high == pytest.approx(3 * low, abs=Decimal("0.03"))


def test_an_external_service_costs_nothing_here() -> None:
    assert cost.estimate(system({"kind": "external"})).total == 0


def test_what_is_unknown_is_named_and_not_charged() -> None:
    estimate = cost.estimate(system({"cpu": 1}))
    assert estimate.unknown == ("services.one.memory", "services.one.replicas")
    assert estimate.total == 0


def test_unknown_nodes_are_named() -> None:
    estimate = cost.estimate(
        system({"replicas": 1, "cpu": 1, "memory": "1Gi"}, price_table="on-premises", platform={"nodes": 2})
    )
    assert estimate.unknown == ("platform.node_cpu", "platform.node_memory")


def test_a_price_table_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(ModelError, match="aws, azure, gcp, on-premises"):
        cost.estimate(System(name="s", price_table="nowhere", services={"one": Service()}))


def test_every_price_table_says_where_and_when_it_comes_from() -> None:
    for name in price_tables():
        table = price_table(name)
        assert table.name == name
        assert table.source
        assert table.currency


def test_return_on_investment_counts_the_investment() -> None:
    result = cost.roi(Decimal(100), Decimal(300), "USD", Decimal(1000), months=12)
    assert result.net_per_month == 200
    assert result.payback_months == 5
    assert result.ratio == (Decimal(3600) - 2200) / 2200
    assert result.internal_rate_of_return is not None
    assert result.internal_rate_of_return > 1


def test_net_present_value_at_no_discount_is_the_sum() -> None:
    result = cost.roi(
        Decimal(100), Decimal(150), "USD", Decimal(200), months=10, discount_rate_per_year=Decimal(0)
    )
    assert result.net_present_value == 300


def test_what_costs_more_than_it_brings_never_pays_back() -> None:
    result = cost.roi(Decimal(200), Decimal(150), "USD", Decimal(100))
    assert result.payback_months is None
    assert result.internal_rate_of_return is None
    assert result.net_present_value < 0


def test_what_costs_nothing_has_no_ratio() -> None:
    assert cost.roi(Decimal(0), Decimal(1), "USD").ratio is None


def test_another_nine_has_a_price_for_each_hour_of_downtime_it_avoids() -> None:
    price = cost.marginal_cost_of_availability(Decimal(100), 0.99, Decimal(173), 0.999)
    assert price is not None
    assert price == pytest.approx(Decimal(73) / (Decimal("0.009") * 730))
    assert cost.marginal_cost_of_availability(Decimal(1), 0.999, Decimal(2), 0.999) is None
