from ipaddress import IPv4Network

import pytest

from groundplan.cluster.addresses import MOST_WORKERS, SETS, Addresses, choose
from groundplan.errors import ClusterError


def test_the_first_cluster_takes_the_first_set() -> None:
    assert choose([IPv4Network("192.0.2.0/24")], []).number == 0


def test_a_set_that_overlaps_a_route_is_passed_over() -> None:
    assert choose([IPv4Network("172.30.0.0/24")], []).number == 1
    assert choose([IPv4Network("10.96.0.0/15")], []).number == 2


def test_a_set_of_another_cluster_is_passed_over_even_when_that_is_stopped() -> None:
    assert choose([], [0, 1]).number == 2


def test_a_machine_in_the_whole_of_the_usual_private_range_gets_the_other_one() -> None:
    assert choose([IPv4Network("10.0.0.0/8")], []).number == 16


def test_no_free_set_is_an_error_that_names_what_is_in_the_way() -> None:
    with pytest.raises(ClusterError, match=r"10\.0\.0\.0/8"):
        choose([IPv4Network("10.0.0.0/8"), IPv4Network("100.64.0.0/10")], [])


def test_no_two_sets_overlap() -> None:
    networks = [network for number in range(SETS) for network in Addresses(number).networks()]
    for index, network in enumerate(networks):
        assert not any(network.overlaps(other) for other in networks[index + 1 :])


def test_every_worker_has_an_address_and_pods_of_its_own() -> None:
    addresses = Addresses(3)
    workers = {addresses.worker(number) for number in range(1, MOST_WORKERS + 1)}
    assert len(workers) == MOST_WORKERS
    assert all(worker in addresses.node_network for worker in workers)
    assert str(addresses.pods_of(1)) == "10.241.1.0/24"
    assert addresses.pods_of(2).subnet_of(addresses.pod_network)
