import math
from itertools import pairwise

import ciw  # type: ignore[import-untyped]  # has no types
import mpmath  # type: ignore[import-untyped]  # has no types
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundplan.errors import ModelError
from groundplan.models import queueing
from groundplan.models.queueing import MMc, MMcK, erlang_b, erlang_c

servers = st.integers(1, 60)
utilizations = st.floats(0.01, 0.99)


@pytest.mark.parametrize(
    ("queue", "expected"),
    [
        (MMc(9, 5, 2), {"mean_waiting": 7.673684, "mean_response": 1.052632}),
        (MMc(9, 5, 4), {"mean_waiting": 0.105164, "mean_response": 0.211685}),
        (
            MMc(300, 182.5, 3),
            {"empty_probability": 0.177537, "mean_waiting": 0.352426, "mean_present": 1.996262},
        ),
        (MMc(24, 30, 1), {"mean_present": 4, "mean_response": 1 / 6, "empty_probability": 0.2}),
    ],
)
def test_mmc_matches_published_cases(queue: MMc, expected: dict[str, float]) -> None:
    for name, value in expected.items():
        assert getattr(queue, name) == pytest.approx(value, abs=5e-7)


def test_mmc_wait_matches_the_published_case() -> None:
    assert MMc(300, 182.5, 3).mean_wait == pytest.approx(0.00117475, abs=5e-9)


def test_mmc_percentiles_match_published_cases() -> None:
    assert MMc(9, 5, 2).response_percentile(0.95) == pytest.approx(3.059448, abs=5e-7)
    assert MMc(9, 5, 2).response_percentile(0.99) == pytest.approx(4.668886, abs=5e-7)
    assert MMc(9, 5, 4).response_percentile(0.95) == pytest.approx(0.619025, abs=5e-7)


def test_a_bounded_queue_matches_published_cases() -> None:
    assert MMcK(40, 30, 3, 7).empty_probability == pytest.approx(0.255037, abs=5e-7)
    assert MMcK(40, 30, 3, 7).mean_response == pytest.approx(0.036517, abs=5e-7)
    assert MMcK(50, 10, 4, 6).loss_probability == pytest.approx(0.293543, abs=5e-7)


def test_a_bounded_queue_with_a_large_room_is_an_unbounded_one() -> None:
    assert MMcK(9, 5, 2, 2000).mean_response == pytest.approx(MMc(9, 5, 2).mean_response)


def test_a_bounded_queue_without_arrivals_is_empty() -> None:
    queue = MMcK(0, 5, 2, 4)
    assert (queue.empty_probability, queue.throughput, queue.mean_response) == (1, 0, 0.2)


def test_erlang_formulas_match_published_cases() -> None:
    assert erlang_c(14, 10.0) == pytest.approx(0.1741319336, abs=5e-11)
    assert erlang_c(3, 2.0) == pytest.approx(4 / 9)
    assert erlang_b(1, 1.0) == pytest.approx(0.5)
    assert erlang_b(2, 1.0) == pytest.approx(0.2)
    assert erlang_b(17, 10.0) == pytest.approx(0.012949, abs=5e-7)
    assert erlang_b(16, 10.0) == pytest.approx(0.022302, abs=5e-7)
    assert queueing.servers_for_loss(10, 0.02) == 17


def test_figures_that_are_often_printed_wrong_come_out_right() -> None:
    # .261 and .012 are found in print
    assert erlang_c(25, 20.0) == pytest.approx(0.209103, abs=5e-7)
    assert erlang_b(200, 180.0) == pytest.approx(0.010325, abs=5e-7)


@pytest.mark.parametrize(("count", "load"), [(5, 3.0), (50, 45.0), (300, 290.0)])
def test_erlang_b_agrees_with_its_definition_in_high_precision(count: int, load: float) -> None:
    with mpmath.workdps(60):
        terms = [mpmath.mpf(load) ** k / mpmath.factorial(k) for k in range(count + 1)]
        exact = terms[-1] / mpmath.fsum(terms)
    assert erlang_b(count, load) == pytest.approx(float(exact), rel=1e-12)


def test_erlang_formulas_take_arrays() -> None:
    loads = np.linspace(0.1, 9.9, 50)
    assert erlang_b(10, loads) == pytest.approx([erlang_b(10, float(load)) for load in loads])
    assert erlang_c(10, loads) == pytest.approx([erlang_c(10, float(load)) for load in loads])


def test_nothing_overflows_with_many_servers_near_saturation() -> None:
    for count in (1, 100, 10_000):
        for utilization in (1e-6, 0.5, 0.999999):
            queue = MMc(utilization * count, 1.0, count)
            values = [queue.wait_probability, queue.mean_response, queue.empty_probability]
            values += [queue.response_percentile(0.99), queueing.mgc_wait(utilization, count, 0.5)]
            assert all(math.isfinite(value) and value >= 0 for value in values)


@pytest.mark.parametrize(
    ("count", "utilization", "exact"),
    [(2, 0.9, 2.146923), (5, 0.8, 0.289060), (10, 0.9, 0.344582), (10, 0.5, 0.004742)],
)
def test_constant_service_times_match_published_waits(count: int, utilization: float, exact: float) -> None:
    assert queueing.mdc_wait(utilization, count) == pytest.approx(exact, abs=5e-7)
    assert queueing.mdc_wait_cosmetatos(utilization, count) == pytest.approx(exact, rel=0.01)


def test_plain_scaling_of_the_exponential_wait_would_be_far_off() -> None:
    halved = MMc(5, 1, 10).mean_wait / 2
    assert halved / queueing.mgc_wait(0.5, 10, 0) == pytest.approx(0.76, abs=0.01)


def test_one_server_follows_pollaczek_and_khinchine() -> None:
    assert queueing.mgc_wait(0.8, 1, 2.5) == pytest.approx(0.8 * 3.5 / 2 / 0.2)


def test_irregular_arrivals_wait_longer_and_even_ones_less() -> None:
    poisson = queueing.mgc_wait(0.8, 3, 0.5)
    assert queueing.ggc_wait(0.8, 3, 0.5, arrival_scv=1) == pytest.approx(poisson)
    assert queueing.ggc_wait(0.8, 3, 0.5, arrival_scv=0.1) < poisson < queueing.ggc_wait(0.8, 3, 0.5, 4)


def test_processor_sharing_slows_by_what_is_left() -> None:
    assert queueing.processor_sharing_response(0.1, 0.75) == pytest.approx(0.4)


@given(servers, utilizations)
def test_littles_law_and_the_time_in_service_agree(count: int, utilization: float) -> None:
    queue = MMc(utilization * count, 1.0, count)
    assert queue.mean_present - queue.mean_waiting == pytest.approx(utilization * count)


@given(servers, utilizations, utilizations, st.floats(0, 4))
def test_more_load_never_means_a_shorter_wait(count: int, one: float, other: float, scv: float) -> None:
    low, high = sorted((one, other))
    assert queueing.mgc_wait(low, count, scv) <= queueing.mgc_wait(high, count, scv) * (1 + 1e-9) + 1e-12


@given(servers, utilizations)
def test_more_servers_at_the_same_utilization_wait_less(count: int, utilization: float) -> None:
    assert queueing.mgc_wait(utilization, count + 1, 1) < queueing.mgc_wait(utilization, count, 1)


@settings(max_examples=30)
@given(servers, utilizations)
def test_the_exact_tail_falls_from_one_and_agrees_with_the_mean(count: int, utilization: float) -> None:
    queue = MMc(utilization * count, 1.0, count)
    times = np.linspace(0, 60 * queue.mean_response, 1501)
    tails = [queue.response_tail(float(time)) for time in times]
    assert tails[0] == pytest.approx(1)
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(tails))
    assert np.trapezoid(tails, times) == pytest.approx(queue.mean_response, rel=0.01)


def test_the_tail_is_smooth_where_its_two_rates_meet() -> None:
    # with theta = c mu - lambda = mu both exponentials fall together
    meeting = MMc(1.0, 1.0, 2).response_tail(1.5)
    assert MMc(1.0 + 1e-7, 1.0, 2).response_tail(1.5) == pytest.approx(meeting, rel=1e-6)
    assert MMc(1.01, 1.0, 2).response_tail(1.5) == pytest.approx(meeting, rel=0.02)


@pytest.mark.parametrize(
    "call",
    [
        lambda: MMc(10, 5, 2),
        lambda: MMc(math.nan, 5, 2),
        lambda: MMc(1, math.inf, 2),
        lambda: MMc(-1, 5, 2),
        lambda: MMc(1, 5, 0),
        lambda: MMcK(1, 5, 4, 3),
        lambda: erlang_c(2, 2.0),
        lambda: erlang_b(2, np.array([1.0, math.nan])),
        lambda: queueing.mgc_wait(0.5, 2, -1),
        lambda: MMc(1, 5, 2).response_percentile(1.0),
    ],
)
def test_what_has_no_answer_is_refused(call: object) -> None:
    assert callable(call)
    with pytest.raises(ModelError):
        call()


@pytest.mark.parametrize(("count", "utilization", "scv"), [(1, 0.7, 0.5), (2, 0.8, 1.0), (4, 0.7, 2.0)])
def test_mgc_wait_lies_within_what_ciw_simulates(count: int, utilization: float, scv: float) -> None:
    means = []
    for seed in range(8):
        ciw.seed(seed)
        network = ciw.create_network(
            arrival_distributions=[ciw.dists.Exponential(utilization * count)],
            service_distributions=[ciw.dists.Gamma(1 / scv, scv)],
            number_of_servers=[count],
        )
        simulation = ciw.Simulation(network)
        simulation.simulate_until_max_time(3000)
        records = [record for record in simulation.get_all_records() if record.arrival_date > 300]
        means.append(np.mean([record.waiting_time for record in records]))
    error = np.std(means, ddof=1) / math.sqrt(len(means))
    assert queueing.mgc_wait(utilization, count, scv) == pytest.approx(np.mean(means), abs=3 * error)
