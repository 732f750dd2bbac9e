import time
from textwrap import dedent

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundplan.errors import ModelError
from groundplan.models import performance
from groundplan.models.performance import predict
from groundplan.models.queueing import MMc
from groundplan.spec import Load, Service, ServiceTime, System, parse_system
from tests.models.simulation import simulate

SHOP = """
    name: shop
    platform: {{nodes: 2, zones: 2, node_cpu: 2, node_memory: 4Gi, machine_cpu: 2}}
    services:
      edge:
        kind: load-balancer
        replicas: 2
        concurrency: 512
        service_time: {{mean: 0.5ms}}
        load: {{arrival_rate: {rate}}}
        calls: [{{to: shop, share: 0.9}}]
      shop:
        replicas: 2
        concurrency: 2
        dispatch: least-connections
        service_time: {{mean: 25ms, scv: {scv}}}
        calls:
          - {{to: database, count: 2}}
          - {{to: cache}}
          - {{to: broker, share: 0.1}}
          - {{to: orders, share: 0.1, mode: async}}
      orders:
        kind: worker
        replicas: 2
        concurrency: 2
        service_time: {{mean: 50ms}}
        calls: [{{to: database}}]
      broker: {{kind: broker, replicas: 1, service_time: {{mean: 0.2ms}}}}
      cache: {{kind: cache, replicas: 1, service_time: {{mean: 0.2ms}}}}
      database: {{kind: database, replicas: 1, concurrency: 20, service_time: {{mean: 3ms}}}}
"""


def shop(rate: float, scv: float = 1) -> System:
    return parse_system(dedent(SHOP.format(rate=rate, scv=scv)), "shop.yaml")


def alone(**fields: object) -> System:
    service = Service.model_validate({"replicas": 1, "service_time": {"mean": 0.1}} | fields)
    return System(name="one", services={"one": service})


def test_a_lone_service_is_its_queue() -> None:
    item = predict(alone(concurrency=2, load={"arrival_rate": 15})).services["one"]
    queue = MMc(15, 10, 2)
    assert item.utilization == pytest.approx(queue.utilization)
    assert item.capacity == pytest.approx(20)
    assert item.mean == pytest.approx(queue.mean_response)
    assert item.p95 == pytest.approx(queue.response_percentile(0.95), rel=1e-3)
    assert item.p99 == pytest.approx(queue.response_percentile(0.99), rel=1e-3)


# mean and p95 as the goal for a running app sets them; p99 has no goal of its own
@pytest.mark.parametrize(("rate", "scv"), [(20, 1), (35, 1), (45, 1), (40, 0.3)])
def test_a_shop_on_two_shared_cores_answers_as_simulated(rate: float, scv: float) -> None:
    system = shop(rate, scv)
    simulated = simulate(system, requests=25_000)
    predicted = predict(system)
    for name in ("edge", "shop"):
        item = predicted.services[name]
        assert item.mean == pytest.approx(simulated[name].mean(), rel=0.1)
        assert item.p95 == pytest.approx(np.percentile(simulated[name], 95), rel=0.12)


def test_parallel_asynchronous_and_repeated_calls_answer_as_simulated() -> None:
    text = """
        name: fan-out
        services:
          front:
            replicas: 3
            concurrency: 2
            service_time: {mean: 20ms, scv: 0.5}
            load: {arrival_rate: 16}
            calls:
              - {to: a, mode: parallel}
              - {to: b, mode: parallel, count: 2}
              - {to: a, count: 2, share: 0.5}
              - {to: mail, mode: async, share: 0.3}
          a: {replicas: 1, concurrency: 2, service_time: {mean: 10ms, scv: 0}}
          b: {replicas: 2, concurrency: 2, service_time: {mean: 8ms, scv: 2}}
          mail: {replicas: 1, service_time: {mean: 30ms, scv: 4}}
    """
    system = parse_system(dedent(text), "fan-out.yaml")
    simulated = simulate(system, requests=25_000)
    for name, item in predict(system).services.items():
        assert item.mean == pytest.approx(simulated[name].mean(), rel=0.08), name
        assert item.p95 == pytest.approx(np.percentile(simulated[name], 95), rel=0.08), name


@pytest.mark.parametrize(("limit", "rate"), [(1, 28), (2, 50), (0.5, 12)])
def test_a_cpu_limit_below_the_workers_slows_as_simulated(limit: float, rate: float) -> None:
    system = alone(
        replicas=2,
        concurrency=4,
        cpu_limit=limit,
        service_time={"mean": 0.05},
        load={"arrival_rate": rate},
    )
    simulated = simulate(system, requests=40_000)["one"]
    item = predict(system).services["one"]
    assert item.mean == pytest.approx(simulated.mean(), rel=0.08)
    assert item.p95 == pytest.approx(np.percentile(simulated, 95), rel=0.1)


def test_requests_multiply_along_the_calls() -> None:
    rates = {name: item.arrival_rate for name, item in predict(shop(20)).services.items()}
    assert rates == pytest.approx(
        {"edge": 20, "shop": 18, "orders": 1.8, "broker": 1.8, "cache": 18, "database": 37.8}
    )


def test_work_that_nobody_waits_for_loads_its_service_and_delays_no_one() -> None:
    system = shop(20)
    services = dict(system.services)
    services["orders"] = services["orders"].model_copy(update={"replicas": 0})
    without = predict(system.model_copy(update={"services": services})).services
    assert without["orders"].stable is False
    assert without["edge"].stable is True


def test_bounds_enclose_the_prediction() -> None:
    for rate in (5.0, 30.0, 45.0):
        item = predict(shop(rate)).services["edge"]
        assert item.lower is not None
        assert item.upper is not None
        assert item.mean is not None
        assert item.lower.mean <= item.mean * 1.001
        assert item.mean <= item.upper.mean * 1.05  # a shared CPU makes up for an uneven split


@settings(max_examples=25, deadline=None)
@given(st.floats(0.1, 30), st.floats(0.1, 30))
def test_more_load_never_means_a_faster_answer(one: float, other: float) -> None:
    low, high = (predict(shop(rate)).services["edge"].mean for rate in sorted((one, other)))
    assert low is not None
    assert high is not None
    assert low <= high * (1 + 1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.floats(0.05, 0.9))
def test_one_more_replica_never_means_a_slower_answer(replicas: int, utilization: float) -> None:
    load = {"arrival_rate": utilization * replicas * 10}
    fewer = predict(alone(replicas=replicas, load=load)).services["one"].mean
    more = predict(alone(replicas=replicas + 1, load=load)).services["one"].mean
    assert fewer is not None
    assert more is not None
    assert more <= fewer


def test_overload_has_no_time_but_a_reason() -> None:
    item = predict(alone(load={"arrival_rate": 12})).services["one"]
    assert item.stable is False
    assert item.times is None
    assert item.mean is None
    assert item.utilization == pytest.approx(1.2)
    assert item.throughput == pytest.approx(10)
    assert item.reason == (
        "one is overloaded: 12 requests/s hold a worker for 0.1 s each, which needs more than its 1 workers"
    )


def test_overload_below_stops_the_callers() -> None:
    system = shop(20)
    services = dict(system.services)
    services["database"] = services["database"].model_copy(update={"service_time": ServiceTime(mean=1.0)})
    items = predict(system.model_copy(update={"services": services})).services
    assert items["edge"].stable is False
    assert items["edge"].reason is not None
    assert "overloaded" in items["edge"].reason


def test_overloaded_nodes_are_named() -> None:
    item = predict(shop(100)).services["edge"]
    assert item.stable is False
    assert "CPU" in (item.reason or "")


def test_no_load_is_answered_at_full_speed() -> None:
    item = predict(alone()).services["one"]
    assert (item.arrival_rate, item.utilization, item.throughput, item.stable) == (0, 0, 0, True)
    assert item.mean == pytest.approx(0.1)


def test_what_is_unknown_is_named_and_makes_no_number() -> None:
    system = shop(20)
    services = dict(system.services)
    services["database"] = services["database"].model_copy(update={"service_time": None})
    items = predict(system.model_copy(update={"services": services})).services
    assert items["edge"].stable is None
    assert items["edge"].mean is None
    assert items["edge"].unknown == ("services.database.service_time",)
    assert items["cache"].mean is not None


def test_unknown_replicas_are_unknown() -> None:
    assert predict(alone(replicas=None)).services["one"].unknown == ("services.one.replicas",)


def test_confidence_is_low_near_overload() -> None:
    assert predict(alone(load={"arrival_rate": 8})).services["one"].confidence == "normal"
    assert predict(alone(load={"arrival_rate": 9})).services["one"].confidence == "low"


@pytest.mark.parametrize(
    ("rate", "replicas"), [(0, 2), (6, 2), (7, 3), (15, 5), (1000, 8)]
)  # one replica at 60 % of half a core carries 3 requests/s of 0.1 s
def test_an_autoscaler_settles_on_what_the_load_needs(rate: float, replicas: int) -> None:
    system = alone(
        replicas=None,
        autoscaling={"min": 2, "max": 8, "target_cpu_utilization": 0.6},
        cpu=0.5,
        load={"arrival_rate": rate},
    )
    assert predict(system).services["one"].replicas == replicas


def test_an_autoscaler_without_a_cpu_request_is_unknown() -> None:
    item = predict(alone(replicas=None, autoscaling={"min": 2, "max": 8})).services["one"]
    assert item.unknown == ("services.one.cpu",)


def test_an_external_service_never_queues() -> None:
    slow = Service(kind="external", service_time=ServiceTime(mean=0.3))
    caller = Service.model_validate(
        {
            "replicas": 1,
            "concurrency": 100,
            "service_time": {"mean": 0.01},
            "load": {"arrival_rate": 50},
            "calls": [{"to": "bank"}],
        }
    )
    items = predict(System(name="pay", services={"shop": caller, "bank": slow})).services
    assert items["bank"].mean == pytest.approx(0.3)
    assert items["shop"].mean == pytest.approx(0.31, rel=1e-3)


def test_the_greatest_throughput_is_that_of_the_bottleneck() -> None:
    assert performance.greatest_throughput(alone(concurrency=3), "one") == pytest.approx(30, rel=2e-3)


def test_requests_that_multiply_without_end_are_refused() -> None:
    services = {
        "a": Service.model_validate(
            {"replicas": 1, "calls": [{"to": "b", "mode": "async"}], "load": {"arrival_rate": 1}}
        ),
        "b": Service.model_validate({"replicas": 1, "calls": [{"to": "a", "mode": "async"}]}),
    }
    with pytest.raises(ModelError, match="multiply without end"):
        predict(System(name="echo", services=services))


def test_a_circle_that_dies_out_is_allowed() -> None:
    services = {
        "a": Service(
            replicas=1,
            concurrency=10,
            service_time=ServiceTime(mean=0.01),
            load=Load(arrival_rate=10),
        ),
        "retry": Service.model_validate(
            {
                "replicas": 1,
                "service_time": {"mean": 0.01},
                "calls": [{"to": "retry", "mode": "async", "share": 0.5}],
                "load": {"arrival_rate": 3},
            }
        ),
    }
    assert predict(System(name="dies", services=services)).services["retry"].arrival_rate == pytest.approx(6)


def test_a_system_of_ten_services_is_predicted_quickly() -> None:
    system = shop(30)
    extra = Service.model_validate({"replicas": 2, "concurrency": 2, "service_time": {"mean": 0.003}})
    services = dict(system.services) | {f"extra-{i}": extra for i in range(4)}
    shop_service = services["shop"].model_dump()
    shop_service["calls"] = [*shop_service["calls"], *({"to": f"extra-{i}"} for i in range(4))]
    services["shop"] = Service.model_validate(shop_service)
    system = system.model_copy(update={"services": services})
    spent = []
    for _ in range(10):
        start = time.process_time()
        predict(system)
        spent.append(time.process_time() - start)
    assert min(spent) < 0.04  # about half of that on an idle machine
