from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from groundplan.errors import VerifyError
from groundplan.verify import load
from groundplan.verify.generator import Recorder, arrival_times, choose_requests
from groundplan.verify.load import LoadPlan, LoadResult, Request
from tests.verify.queue_server import QueueServer

ONE = (Request(label="one"),)


def plan(url: str = "http://127.0.0.1:1", **changes: Any) -> LoadPlan:
    values: dict[str, Any] = {
        "base_url": url,
        "requests": ONE,
        "rate_per_second": 40.0,
        "duration_seconds": 12.0,
    }
    return LoadPlan(**{**values, **changes})


def run_on_queue(
    queue_server: type[QueueServer], service_times: npt.NDArray[np.float64], wanted: LoadPlan
) -> LoadResult:
    """A run that other work on the machine did not disturb: generator and queue both kept to their clocks."""
    for _ in range(5):
        with queue_server(service_times.tolist()).running() as server:
            result = load.run(wanted.model_copy(update={"base_url": server.url}))
        if server.punctual and result.valid:
            return result
    raise AssertionError("the machine is too busy: none of five runs kept to its clocks")


def test_gaps_between_arrivals_are_exponential() -> None:
    times = arrival_times(plan(rate_per_second=100, duration_seconds=60))
    gaps = np.diff(times)
    assert stats.kstest(gaps, "expon", args=(0, 0.01)).pvalue > 0.01
    assert stats.kstest(times / 60, "uniform").pvalue > 0.01  # a Poisson process given its count
    counts = np.bincount(times.astype(int), minlength=60)
    assert 0.6 < counts.var() / counts.mean() < 1.6  # evenly spaced arrivals would give 0


def test_the_seed_decides_the_arrivals() -> None:
    assert np.array_equal(arrival_times(plan(seed=3)), arrival_times(plan(seed=3)))
    assert not np.array_equal(arrival_times(plan(seed=3))[:5], arrival_times(plan(seed=4))[:5])


def test_time_and_count_bound_a_run() -> None:
    assert len(arrival_times(plan(max_requests=17))) == 17
    assert arrival_times(plan(duration_seconds=2))[-1] < 2


def test_the_mix_follows_the_shares() -> None:
    mixed = plan(requests=(Request(label="a", share=3), Request(label="b", share=1)))
    assert np.mean(choose_requests(mixed, 20_000)) == pytest.approx(0.25, abs=0.01)


def test_a_single_server_queue_measures_as_the_exact_formula_says(queue_server: type[QueueServer]) -> None:
    mean_service, rate = 0.012, 50.0
    service_times = np.random.default_rng(7).exponential(mean_service, 5000)
    result = run_on_queue(
        queue_server, service_times, plan(rate_per_second=rate, duration_seconds=20, seed=2)
    )
    assert result.problems == ()
    assert result.errors == {}
    exact = mean_service / (1 - rate * mean_service)
    assert result.mean_half_width_seconds is not None
    assert result.latency is not None
    assert abs(result.latency.mean - exact) < result.mean_half_width_seconds
    assert result.rate_achieved_per_second == pytest.approx(rate, rel=0.1)
    assert result.generator_cpu_share < 0.3


def test_each_measured_latency_is_the_queues_own(queue_server: type[QueueServer]) -> None:
    """The same arrivals and service times through Lindley's recursion give the same mean and p95."""
    service_times = np.random.default_rng(8).exponential(0.015, 5000)
    sent = plan("http://127.0.0.1:1", rate_per_second=45, duration_seconds=10)
    free_at, exact = 0.0, []
    for moment, service_time in zip(arrival_times(sent), service_times, strict=False):
        free_at = max(moment, free_at) + service_time
        exact.append(free_at - moment)
    result = run_on_queue(queue_server, service_times, sent)
    assert result.latency is not None
    assert result.latency.count == len(exact)
    assert result.latency.mean == pytest.approx(np.mean(exact), rel=0.15)
    assert result.latency.p95 == pytest.approx(np.percentile(exact, 95), rel=0.15)


def test_a_stall_of_the_server_shows_in_the_tail(queue_server: type[QueueServer]) -> None:
    service_times = [0.001] * 100 + [1.0] + [0.001] * 1000
    with queue_server(service_times).running() as server:
        result = load.run(plan(server.url, rate_per_second=50, duration_seconds=8))
    # One stalled answer in 400 would hide below p99; the fifty that should have started meanwhile don't.
    assert result.latency is not None
    assert result.latency.p99 > 0.8
    assert result.latency.p50 < 0.02


def test_requests_start_on_time_while_none_is_answered(queue_server: type[QueueServer]) -> None:
    with queue_server([5.0]).running() as server:
        result = load.run(plan(server.url, rate_per_second=50, duration_seconds=2, timeout_seconds=1))
    assert result.error_ratio == 1.0
    assert result.errors == {"timeout": result.requests}
    assert result.requests > 70  # a closed loop would have sent two
    assert result.latency is not None
    assert result.latency.p50 >= 1.0
    assert result.rate_achieved_per_second == 0.0


def test_bad_answers_are_counted_by_kind(queue_server: type[QueueServer]) -> None:
    refused = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
    with queue_server([0.0], refused).running() as server:
        result = load.run(plan(server.url, duration_seconds=1))
    assert result.errors == {"status 503": result.requests}
    assert result.problems == ("no request was answered",)
    nobody = load.run(plan(server.url, duration_seconds=1))
    assert nobody.errors == {"connect": nobody.requests}


def test_the_warm_up_is_sent_but_not_counted(queue_server: type[QueueServer]) -> None:
    with queue_server([0.0]).running() as server:
        result = load.run(plan(server.url, duration_seconds=3, warmup_seconds=1))
        assert server.served > result.requests
    assert result.requests == np.sum(arrival_times(plan(duration_seconds=3)) >= 1)


def test_a_late_generator_makes_its_result_invalid() -> None:
    recorder = Recorder(["one"], planned=100, warmup=0, timeout_seconds=1)
    for index in range(100):
        recorder.sent(index, index * 0.01, lateness=0.004)
        recorder.answered(index, "one", index * 0.01 + 0.01, latency=0.01)
    result = recorder.result(plan(), cpu_seconds=0.9, elapsed_seconds=1.0)
    assert not result.valid
    assert "4.00 ms late on average" in result.problems[0]


@pytest.mark.parametrize("url", ["http://192.0.2.7", "http://10.1.2.3:80", "http://8.8.8.8"])
def test_load_is_refused_beyond_this_machine(url: str) -> None:
    with pytest.raises(VerifyError, match="Load is only sent to this machine"):
        load.run(plan(url))


def test_the_clusters_own_network_is_allowed_and_a_public_one_never() -> None:
    load.check_target(plan("http://10.1.2.3:80", networks=("10.1.0.0/16",)))
    with pytest.raises(VerifyError, match="never sent to public addresses"):
        load.check_target(plan("http://8.8.8.8", networks=("8.8.8.0/24",)))
    with pytest.raises(VerifyError, match="Not a network"):
        load.check_target(plan("http://10.1.2.3", networks=("10.1.0.0/99",)))


def test_a_run_without_any_request_says_so() -> None:
    with pytest.raises(VerifyError, match="measure longer"):
        load.run(plan(duration_seconds=0.001, rate_per_second=0.1))
