import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplan.models.cpu import Contention, Others, contention
from groundplan.models.queueing import MMc


def _response(rate: float, cores: float, workers: int) -> float:
    """Mean response of work of one second that only needs the CPU, from stretch and wait for a worker."""
    shared = contention(arrival_rate=rate, cpu_seconds=1, other_seconds=0, workers=workers, cores=cores)
    assert shared is not None
    return shared.stretch + MMc(rate, 1 / shared.stretch, workers).mean_wait * shared.wait_factor


@pytest.mark.parametrize("workers", [2, 3, 4, 20])
def test_the_number_of_workers_does_not_matter_when_only_the_cpu_limits(workers: int) -> None:
    assert _response(1.4, 2, workers) == pytest.approx(MMc(1.4, 1, 2).mean_response)


def test_one_shared_core_slows_by_what_is_left() -> None:
    assert _response(0.8, 1, 100) == pytest.approx(1 / (1 - 0.8), rel=1e-6)


def test_workers_that_fit_the_cores_are_never_slowed() -> None:
    shared = contention(arrival_rate=1.5, cpu_seconds=1, other_seconds=0, workers=2, cores=2)
    assert shared is not None
    assert (shared.stretch, shared.wait_factor, shared.wait_probability_factor) == pytest.approx((1, 1, 1))


def test_less_than_one_core_slows_even_a_lone_request() -> None:
    shared = contention(arrival_rate=0, cpu_seconds=0.1, other_seconds=0, workers=4, cores=0.25)
    assert shared is not None
    assert shared.stretch == 4
    # being slow alone makes times longer, not more varied
    assert shared.scv_of_work(0.5) == 0.5


def test_a_cpu_that_cannot_keep_up_has_no_contention_to_tell() -> None:
    assert contention(arrival_rate=2, cpu_seconds=1, other_seconds=0, workers=9, cores=2) is None
    crowded = Others(busy_cores=1.5, at_once=10)
    assert (
        contention(arrival_rate=1, cpu_seconds=1, other_seconds=0, workers=9, cores=2, others=crowded) is None
    )


def test_others_on_the_same_cores_slow_like_own_work() -> None:
    # processor sharing makes no difference between own and other requests
    shared = contention(
        arrival_rate=0.4, cpu_seconds=1, other_seconds=0, workers=100, cores=1, others=Others(0.4, 100)
    )
    assert shared is not None
    assert shared.stretch == pytest.approx(1 / (1 - 0.8), rel=0.01)


def test_time_off_the_cpu_leaves_room_for_others() -> None:
    busy = contention(arrival_rate=1, cpu_seconds=1, other_seconds=0, workers=6, cores=2)
    easier = contention(arrival_rate=1, cpu_seconds=0.5, other_seconds=0.5, workers=6, cores=2)
    assert busy is not None
    assert easier is not None
    assert 1 <= easier.stretch < busy.stretch


def test_sharing_one_core_makes_exponential_work_vary_as_published() -> None:
    # scv (2 + U) / (2 - U) at U = .5
    assert Contention(stretch=2.0).scv_of_work(1.0) == pytest.approx(2.5 / 1.5)


@given(st.floats(0.01, 0.97), st.integers(1, 300), st.floats(0.2, 16), st.floats(0, 3))
def test_work_never_gets_faster_by_sharing(share: float, workers: int, cores: float, other: float) -> None:
    shared = contention(
        arrival_rate=share * cores, cpu_seconds=1, other_seconds=other, workers=workers, cores=cores
    )
    if shared is not None:
        assert shared.stretch >= max(1.0, 1 / cores) * (1 - 1e-9)
        assert shared.wait_factor >= 0
