import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from groundplan.errors import VerifyError
from groundplan.models import performance
from groundplan.spec import System, parse_system
from groundplan.verify import build, calibrate, load
from groundplan.verify.load import LoadPlan, LoadResult, Preparation, Request
from groundplan.verify.measure import MeasuredService, Measurement, measure, percentile
from groundplan.verify.profile import load_profile
from groundplan.verify.scrape import Samples, Snapshot, Target, since
from tests.verify.queue_server import QueueServer

Times = npt.NDArray[np.float64]

SPEC = """
name: small
platform: {nodes: 2, zones: 2, node_cpu: 2, node_memory: 4Gi}
services:
  edge:
    kind: load-balancer
    replicas: 2
    concurrency: 512
    service_time: {mean: 1ms}
    load: {arrival_rate: 20}
    calls: [{to: shop, share: 0.5}]
    slo: {p95: 200ms}
  shop:
    replicas: 1
    concurrency: 1
    service_time: {mean: 5ms}
    calls: [{to: database, count: 3, share: 0.5}]
  database: {kind: database, replicas: 1, concurrency: 4, service_time: {mean: 1ms}}
"""

BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, math.inf)


@pytest.fixture
def system() -> System:
    return parse_system(SPEC, "small.yaml")


def samples(
    responses: Times | Sequence[float],
    own: Times | Sequence[float],
    calls_each: int = 2,
    call_seconds: float = 0.002,
) -> Samples:
    """What a web service exports after it answered in these times."""
    route = ("route", "/")
    found: Samples = {
        ("http_response_time_seconds_count", frozenset({route})): float(len(responses)),
        ("http_response_time_seconds_sum", frozenset({route})): float(sum(responses)),
        ("http_request_own_seconds_total", frozenset({route})): float(sum(own)),
        ("http_request_own_seconds_squared_total", frozenset({route})): float(sum(x * x for x in own)),
    }
    kind = ("kind", "database")
    found["http_request_calls_total", frozenset({route, kind})] = float(calls_each * len(responses))
    found["http_request_call_seconds_total", frozenset({route, kind})] = (
        calls_each * len(responses) * call_seconds
    )
    for bound in BUCKETS:
        le = ("le", "+Inf" if math.isinf(bound) else str(bound))
        found["http_response_time_seconds_bucket", frozenset({route, le})] = float(
            sum(time <= bound for time in responses)
        )
    return found


TARGETS = frozenset({Target("shop", "small", "shop-1", 8000, "/metrics")})


def snapshots(*stages: Samples) -> Callable[[], Snapshot]:
    waiting = [Snapshot(TARGETS, {"shop": stage}) for stage in stages]
    return lambda: waiting.pop(0)


def run(
    system: System,
    queue_server: type[QueueServer],
    snapshot: Callable[[], Snapshot],
    rate: float = 20.0,
    service_time: float = 0.002,
) -> Measurement:
    with queue_server([service_time]).running() as server:
        plan = LoadPlan(
            base_url=server.url, requests=(Request(label="one"),), rate_per_second=rate, duration_seconds=3
        )
        return measure(system, "edge", plan, snapshot)


@pytest.fixture(autouse=True)
def _short_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("groundplan.verify.measure.WARMUP_SECONDS", 0.5)


@pytest.fixture
def own_times() -> Times:
    return np.random.default_rng(5).gamma(2.0, 0.004, 400)  # mean 8 ms, scv 0.5


def test_what_services_say_before_the_load_does_not_count(
    system: System, queue_server: type[QueueServer], own_times: Times
) -> None:
    before = samples([5.0] * 10, [5.0] * 10)
    rise = samples(own_times + 0.004, own_times)
    after = {key: before.get(key, 0) + value for key, value in rise.items()}
    found = run(system, queue_server, snapshots(before, after))

    shop = found.services["shop"]
    assert shop.count == 400
    assert shop.mean == pytest.approx(own_times.mean() + 0.004)
    assert shop.own_mean == pytest.approx(own_times.mean())
    assert shop.own_scv == pytest.approx(own_times.var() / own_times.mean() ** 2)
    assert shop.calls == {"database": 2.0}
    assert found.services["database"].mean == pytest.approx(0.002)
    assert found.services["database"].p95 is None
    assert found.load.latency is not None
    assert found.services["edge"].p95 == found.load.latency.p95
    assert shop.throughput_per_second == pytest.approx(400 / found.load.duration_seconds)


def test_percentiles_from_buckets_are_close_to_those_of_the_times() -> None:
    times = np.random.default_rng(6).exponential(0.03, 20_000)
    bounds = [10 ** (exponent / 10) for exponent in range(-30, 11)]
    cumulative = {bound: float((times <= bound).sum()) for bound in bounds} | {math.inf: 20_000.0}
    for share in (0.5, 0.95, 0.99):
        assert percentile(cumulative, share) == pytest.approx(np.quantile(times, share), rel=0.03)


def test_a_percentile_beyond_the_last_bound_is_that_bound() -> None:
    assert percentile({0.1: 10, math.inf: 100}, 0.5) == 0.1


def test_pods_that_come_or_go_spoil_a_measurement() -> None:
    other = frozenset({Target("shop", "small", "shop-2", 8000, "/metrics")})
    with pytest.raises(VerifyError, match="small/shop-1, small/shop-2: Pods came or went"):
        since(Snapshot(TARGETS, {"shop": {}}), Snapshot(other, {"shop": {}}))


def test_a_counter_that_falls_means_a_restart_and_a_gauge_may_fall() -> None:
    def snapshot(requests: float, workers: float) -> Snapshot:
        found: Samples = {
            ("http_requests_total", frozenset()): requests,
            ("http_worker_processes", frozenset()): workers,
        }
        return Snapshot(TARGETS, {"shop": found})

    assert since(snapshot(5.0, 4.0), snapshot(9.0, 2.0))["shop"]["http_requests_total", frozenset()] == 4.0
    with pytest.raises(VerifyError, match="restarted during the measurement"):
        since(snapshot(5.0, 4.0), snapshot(1.0, 4.0))


def test_no_answer_at_all_is_an_error_that_counts_its_kinds(system: System) -> None:
    plan = LoadPlan(
        base_url="http://127.0.0.1:1",
        requests=(Request(label="one"),),
        rate_per_second=20,
        duration_seconds=1,
    )
    with pytest.raises(VerifyError, match=r"No request was answered: .* times connect"):
        measure(system, "edge", plan, snapshots({}, {}))


def as_measured(system: System, rate: float, busy_cores: float | None = None) -> Measurement:
    """What a run would measure on a system that behaves as the models say."""
    predicted = performance.predict(system, {"edge": rate}).services
    services = {}
    for name, service in predicted.items():
        assert service.mean is not None
        services[name] = MeasuredService(
            count=1000, throughput_per_second=service.arrival_rate or 0.0, mean=service.mean
        )
    shop_time = system.services["shop"].service_time
    assert shop_time is not None
    told = {"own_mean": shop_time.mean, "own_scv": shop_time.scv, "calls": {"database": 2.0}}
    services["shop"] = services["shop"].model_copy(update=told)
    load_result = LoadResult(
        rate_offered_per_second=rate,
        rate_achieved_per_second=rate,
        requests=1000,
        duration_seconds=1000 / rate,
        latency=None,
        mean_half_width_seconds=None,
        by_request={},
        errors={},
        error_ratio=0.0,
        generator_cpu_share=0.0,
        lateness_mean_seconds=0.0,
        lateness_p99_seconds=0.0,
        problems=(),
    )
    return Measurement(
        measured_at=datetime.now(UTC),
        entry="edge",
        load=load_result,
        services=services,
        machine_busy_cores=busy_cores,
    )


def test_calibration_finds_the_times_behind_what_was_measured_under_load() -> None:
    """The true system answers another number of calls and takes other times than the stated one."""
    platform = "{nodes: 2, zones: 2, node_cpu: 2, node_memory: 4Gi, machine_cpu: 2, background_cpu: 0.3}"
    stated = parse_system(
        SPEC.replace("{nodes: 2, zones: 2, node_cpu: 2, node_memory: 4Gi}", platform), "small"
    )
    wrong = SPEC.replace("mean: 5ms", "mean: 9ms").replace("mean: 1ms}\n    load", "mean: 2ms}\n    load")
    true = parse_system(
        wrong.replace("{nodes: 2, zones: 2, node_cpu: 2, node_memory: 4Gi}", platform), "small"
    )
    call = true.services["shop"].calls[0].model_copy(update={"count": 4.0})
    shop = true.services["shop"].model_copy(update={"calls": (call,)})
    edge_time = true.services["edge"].service_time
    assert edge_time is not None
    edge = true.services["edge"].model_copy(
        update={"service_time": edge_time.model_copy(update={"overhead_cpu": 0.004})}
    )
    true = true.model_copy(update={"services": {**true.services, "shop": shop, "edge": edge}})
    rate = 60.0
    utilization = performance.predict(true, {"edge": rate}).cpu_utilization
    assert utilization is not None
    made = calibrate.calibrate(
        stated, as_measured(true, rate, busy_cores=2 * utilization), background_cpu=0.3
    )

    corrected = made.apply(stated)
    for name, service in true.services.items():
        found = corrected.services[name].service_time
        assert found is not None
        assert service.service_time is not None
        assert found.mean == pytest.approx(service.service_time.mean, rel=0.03), name
    assert corrected.services["shop"].calls == (call,)
    assert made.overhead_cpu == pytest.approx(0.004, rel=0.03)
    assert corrected.services["edge"].slo == stated.services["edge"].slo
    for other in (20.0, 90.0):  # what was not measured is predicted as it would be
        right, ours = (
            performance.predict(one, {"edge": other}).services["edge"].p95 for one in (true, corrected)
        )
        assert ours == pytest.approx(right, rel=0.05)


def test_an_overload_is_not_calibrated_from(system: System) -> None:
    measured = as_measured(system, 40.0)
    load_result = measured.load.model_copy(update={"rate_achieved_per_second": 4000.0})
    with pytest.raises(VerifyError, match="overload"):
        calibrate.calibrate(system, measured.model_copy(update={"load": load_result}))


def test_a_calibration_is_kept_and_a_damaged_one_is_named(
    system: System, queue_server: type[QueueServer], own_times: Times, tmp_path: Path
) -> None:
    found = run(system, queue_server, snapshots({}, samples(own_times, own_times)))
    found = found.model_copy(update={"load": found.load.model_copy(update={"problems": ()})})
    made = calibrate.calibrate(system, found)
    file = tmp_path / "calibration.yaml"
    assert calibrate.load(file) is None
    calibrate.save(made, file)
    assert calibrate.load(file) == made
    file.write_text("services: 3")
    with pytest.raises(VerifyError, match="Remove the file"):
        calibrate.load(file)


def test_a_late_generator_is_not_calibrated_from(
    system: System, queue_server: type[QueueServer], own_times: Times
) -> None:
    found = run(system, queue_server, snapshots({}, samples(own_times, own_times)))
    late = found.load.model_copy(update={"problems": ("it was late",)})
    with pytest.raises(VerifyError, match="it was late"):
        calibrate.calibrate(system, found.model_copy(update={"load": late}))


def test_work_in_the_background_takes_from_the_capacity_and_is_not_counted(system: System) -> None:
    platform = system.platform.model_copy(update={"machine_cpu": 2.0})
    alone = system.model_copy(update={"platform": platform})
    busy = system.model_copy(update={"platform": platform.model_copy(update={"background_cpu": 1.9})})
    assert 0 < calibrate.rate_at(busy, "edge", 0.1) < 0.5 * calibrate.rate_at(alone, "edge", 0.1)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_the_rate_for_a_utilization_brings_the_bottleneck_there(system: System, share: float) -> None:
    rate = calibrate.rate_at(system, "edge", share)
    predicted = performance.predict(system, {"edge": rate})
    busy = [service.utilization for service in predicted.services.values() if service.utilization is not None]
    assert max([*busy, predicted.cpu_utilization or 0.0]) == pytest.approx(share, rel=0.01)


def test_a_report_compares_at_the_load_that_was_sent(
    system: System, queue_server: type[QueueServer], own_times: Times
) -> None:
    found = run(system, queue_server, snapshots({}, samples(own_times, own_times)), rate=30.0)
    made = build.build(
        system, stack="small", cluster="here", entry="edge", addresses={}, measurements=[found]
    )
    edge = next(service for service in made.services if service.name == "edge")
    assert edge.throughput_per_second.predicted == 30.0
    assert made.curve is not None
    assert made.curve.stated_rate_per_second == 20.0
    assert made.curve.measured[0].rate_per_second == 30.0
    assert [point.p95 for point in made.curve.predicted] == sorted(
        point.p95 for point in made.curve.predicted
    )
    assert made.load is not None
    assert made.load.requests == found.load.requests


def test_a_measured_time_over_its_bound_breaks_the_promise(
    system: System, queue_server: type[QueueServer], own_times: Times
) -> None:
    found = run(
        system, queue_server, snapshots({}, samples(own_times, own_times)), rate=5.0, service_time=0.25
    )
    made = build.build(
        system, stack="small", cluster="here", entry="edge", addresses={}, measurements=[found]
    )
    (promise,) = [line for line in made.promises if line.service == "edge"]
    assert promise.verdict == "broken"
    assert promise.reason.startswith("measured")
    assert promise.predicted is not None
    assert promise.predicted < promise.bound


def test_a_load_profile_names_the_field_that_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "small.load.yaml"
    file.write_text("entry: edge\nrequests:\n  - {label: one, path: api}\n")
    with pytest.raises(VerifyError, match=r"requests\.0\.path"):
        load_profile(file)
    with pytest.raises(VerifyError, match="can't be read"):
        load_profile(tmp_path / "none.yaml")


def test_requests_can_need_something_that_is_made_first(queue_server: type[QueueServer]) -> None:
    answer = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"id": "b"}'
    order = Request(
        label="order",
        method="POST",
        path="/orders/{basket}/",
        body={"basket": "{basket}"},
        prepare=(Preparation(path="/baskets/", capture={"basket": "id"}),),
    )
    with queue_server([0.0], answer).running() as server:
        plan = LoadPlan(base_url=server.url, requests=(order,), rate_per_second=20, duration_seconds=1)
        result = load.run(plan)
        assert server.served == 2 * result.requests
        assert "POST /orders/b/ HTTP/1.1" in server.lines
    assert result.errors == {}


def test_a_preparation_that_fails_says_which_and_why(queue_server: type[QueueServer]) -> None:
    refused = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
    order = Request(label="order", prepare=(Preparation(path="/baskets/"),))
    with queue_server([0.0], refused).running() as server:
        plan = LoadPlan(base_url=server.url, requests=(order,), rate_per_second=20, duration_seconds=1)
        with pytest.raises(
            VerifyError, match="to prepare order, POST /baskets/ was answered with status 503"
        ):
            load.run(plan)
    with pytest.raises(VerifyError, match="Cannot connect"):
        load.run(plan)
