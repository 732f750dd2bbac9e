from decimal import Decimal
from textwrap import dedent

import pytest

from groundplan.models.plan import Evaluation, Promise, evaluate
from groundplan.spec import parse_system

SPEC = """
    name: shop
    budget: {amount_per_month: 400, currency: USD}
    benefit: {amount_per_month: 1000, currency: USD}
    platform: {nodes: 2, zones: 2, node_cpu: 2, node_memory: 4Gi}
    services:
      shop:
        replicas: 2
        concurrency: 2
        cpu: 500m
        memory: 128Mi
        service_time: {mean: 20ms}
        load: {arrival_rate: 50}
        calls: [{to: database}]
        slo: {mean: 60ms, p50: 50ms, p95: 80ms, p99: 300ms, availability: 0.99, throughput: 80}
      database: {kind: database, replicas: 1, concurrency: 10, cpu: 500m, memory: 256Mi, storage: 2Gi,
                 service_time: {mean: 5ms}}
"""


def judge(*changes: tuple[str, str]) -> Evaluation:
    text = dedent(SPEC)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return evaluate(parse_system(text, "shop.yaml"))


def promise(evaluation: Evaluation, metric: str) -> Promise:
    return next(item for item in evaluation.promises if item.metric == metric)


def test_a_sound_plan_keeps_all_its_promises() -> None:
    evaluation = judge()
    assert [item.metric for item in evaluation.promises] == [
        "mean", "p50", "p95", "p99", "availability", "throughput", "budget",
    ]  # fmt: skip
    assert {item.verdict for item in evaluation.promises} == {"holds"}
    assert evaluation.holds
    assert evaluation.roi is not None
    assert evaluation.roi.net_per_month == 1000 - evaluation.cost.total


@pytest.mark.parametrize(
    ("metric", "old", "new"),
    [
        ("mean", "mean: 60ms", "mean: 6ms"),
        ("p50", "p50: 50ms", "p50: 5ms"),
        ("p95", "p95: 80ms", "p95: 51ms"),
        ("p99", "p99: 300ms", "p99: 81ms"),
        ("availability", "availability: 0.99", "availability: 0.99999"),
        ("throughput", "throughput: 80", "throughput: 800"),
        ("budget", "amount_per_month: 400", "amount_per_month: 4"),
    ],
)
def test_each_promise_can_be_broken_alone(metric: str, old: str, new: str) -> None:
    evaluation = judge((old, new))
    assert [item.metric for item in evaluation.promises if item.verdict == "broken"] == [metric]
    assert not evaluation.holds


def test_reasons_name_the_numbers() -> None:
    broken = promise(judge(("p95: 80ms", "p95: 51ms")), "p95")
    assert broken.predicted is not None
    assert broken.reason == (
        f"p95 of shop is {float(broken.predicted) * 1000:.4g} ms at 50 requests/s, promised 51 ms"
    )


def test_a_broken_availability_names_the_single_points_of_failure() -> None:
    broken = promise(judge(("availability: 0.99", "availability: 0.99999")), "availability")
    assert "service database" in broken.reason


def test_a_broken_availability_of_an_overloaded_service_names_the_replicas() -> None:
    broken = promise(judge(("arrival_rate: 50", "arrival_rate: 170")), "availability")
    assert broken.verdict == "broken"
    assert "needs" in broken.reason


def test_an_overloaded_service_breaks_its_promises_without_a_number() -> None:
    broken = promise(judge(("arrival_rate: 50", "arrival_rate: 500")), "p95")
    assert (broken.verdict, broken.predicted) == ("broken", None)
    assert "overloaded" in broken.reason


def test_a_promise_on_something_unknown_is_undecided() -> None:
    evaluation = judge(("service_time: {mean: 5ms}", "failure: {beta: 0.1}"))
    for metric in ("mean", "p95", "throughput"):
        item = promise(evaluation, metric)
        assert (item.verdict, item.predicted) == ("undecided", None)
        assert "services.database.service_time" in item.reason
    assert promise(evaluation, "budget").verdict == "holds"
    assert not evaluation.holds


def test_a_budget_with_unknown_costs_is_undecided_unless_the_known_part_breaks_it() -> None:
    assert promise(judge(("cpu: 500m, memory: 256Mi", "memory: 256Mi")), "budget").verdict == "undecided"
    both = (("cpu: 500m, memory: 256Mi", "memory: 256Mi"), ("amount_per_month: 400", "amount_per_month: 1"))
    assert promise(judge(*both), "budget").verdict == "broken"


def test_a_budget_in_another_currency_is_undecided() -> None:
    item = promise(judge(("400, currency: USD", "400, currency: EUR")), "budget")
    assert item.verdict == "undecided"
    assert "EUR" in item.reason
    assert item.bound == Decimal(400)


def test_near_overload_a_prediction_says_that_it_is_uncertain() -> None:
    item = promise(judge(("arrival_rate: 50", "arrival_rate: 140"), ("mean: 60ms", "mean: 9s")), "mean")
    assert item.confidence == "low"
    assert "uncertain" in item.reason


def test_without_a_known_benefit_there_is_no_return() -> None:
    assert judge(("benefit: {amount_per_month: 1000, currency: USD}", "")).roi is None
