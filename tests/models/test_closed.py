import math

import pytest

from groundplan.errors import ModelError
from groundplan.models.closed import Scalability, mean_value_analysis


def test_a_closed_network_of_three_stations_matches_the_published_case() -> None:
    network = mean_value_analysis((0.125, 0.3, 0.2), (16, 10, 5), customers=20, think_time=4)
    assert network.residence_times == pytest.approx((0.373, 4.854, 0.300), abs=5e-4)
    assert network.queue_lengths == pytest.approx((1.991, 16.177, 0.500), abs=5e-4)


def test_customers_at_stations_and_thinking_add_up() -> None:
    network = mean_value_analysis((0.02, 0.05), (1, 2), customers=7, think_time=1.5)
    assert sum(network.queue_lengths) + network.throughput * 1.5 == pytest.approx(7)


def test_scalability_matches_the_published_measurements() -> None:
    law = Scalability(throughput_of_one=995.6486, contention=0.02671591, coherency=7.690945e-4)
    assert law.peak is not None
    assert math.floor(law.peak) == 35  # published rounded down; 36 carries a little more
    assert law.best_workers == 36
    assert law.throughput(35) == pytest.approx(12341, abs=1)


def test_without_coherency_costs_there_is_no_best_number_of_workers() -> None:
    assert Scalability(100, 0.1, 0).best_workers is None


def test_a_cycle_without_time_is_refused() -> None:
    with pytest.raises(ModelError, match="takes no time"):
        mean_value_analysis((0.0,), (1,), customers=1)
