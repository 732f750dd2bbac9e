import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundplan.models.availability import steady_state
from groundplan.models.reliability import ServiceReliability, predict
from groundplan.models.tables import failure_table
from groundplan.spec import System, build_system

NEVER = {"mtbf": "36500000d", "mttr": 0}  # takes a kind of failure out of a test
PLATFORM: dict[str, object] = {"nodes": 2, "zones": 1, "zone_failure": NEVER}
PODS_NEVER_FAIL = {"mtbf": "36500000d", "mttr": 0, "beta": 0}


def system(services: dict[str, dict[str, object]], platform: dict[str, object] | None = None) -> System:
    filled = {
        name: {"replicas": 1, "service_time": {"mean": 0.001}} | service for name, service in services.items()
    }
    return build_system({"name": "s", "platform": platform or PLATFORM, "services": filled}, "test")


def one(service: dict[str, object], platform: dict[str, object] | None = None) -> ServiceReliability:
    return predict(system({"one": service}, platform)).services["one"]


def test_a_pod_with_storage_is_down_until_its_node_is_back() -> None:
    failure = {"mtbf": "1000h", "mttr": "2h"}
    result = one({"storage": 1, "failure": PODS_NEVER_FAIL}, PLATFORM | {"node_failure": failure})
    assert result.availability == pytest.approx(steady_state(1000, 2), abs=1e-9)


def test_a_pod_without_storage_is_down_until_it_has_moved() -> None:
    # detection, toleration and start are 355 s; nodes take 20 h on average, so most outages last that long
    failure = {"mtbf": "10000h", "mttr": "20h"}
    result = one({"failure": PODS_NEVER_FAIL}, PLATFORM | {"nodes": 6, "node_failure": failure})
    assert result.availability is not None
    assert (1 - result.availability) * 10020 * 3600 == pytest.approx(355, rel=0.02)


def test_faster_detection_and_eviction_shorten_the_outage() -> None:
    quick: dict[str, object] = {"node_detection": 10, "node_toleration": 20, "pod_start": 5}
    slow, fast = one({}), one({}, PLATFORM | quick)
    assert slow.availability is not None
    assert fast.availability is not None
    assert fast.availability > slow.availability


def test_without_another_node_a_pod_has_nowhere_to_move() -> None:
    failure = {"mtbf": "1000h", "mttr": "2h"}
    platform = {"nodes": 1, "zone_failure": NEVER, "node_failure": failure}
    result = one({"failure": PODS_NEVER_FAIL}, platform)
    assert result.availability == pytest.approx(steady_state(1000, 2), abs=1e-9)


def test_two_replicas_with_storage_on_two_nodes_are_one_of_two() -> None:
    failure = {"mtbf": "1000h", "mttr": "20h"}
    result = one(
        {"replicas": 2, "storage": 1, "failure": PODS_NEVER_FAIL}, PLATFORM | {"node_failure": failure}
    )
    down = 1 - steady_state(1000, 20)
    assert result.availability == pytest.approx(1 - down**2, abs=1e-9)


def test_pods_fail_alone_and_together() -> None:
    failure = {"mtbf": "100h", "mttr": "1h", "beta": 0.2}
    result = one({"replicas": 2, "failure": failure}, PLATFORM | {"node_failure": NEVER})
    together = steady_state(500, failure_table().common_cause_mttr_seconds.value / 3600)
    alone = steady_state(125, 1)
    assert result.availability == pytest.approx(together * (1 - (1 - alone) ** 2), abs=1e-9)


def test_services_on_one_node_fail_together() -> None:
    # both are on the only node, so the path is as available as the node and not as its square
    failure = {"mtbf": "1000h", "mttr": "20h"}
    services: dict[str, dict[str, object]] = {
        "shop": {"failure": PODS_NEVER_FAIL, "calls": [{"to": "cache"}]},
        "cache": {"failure": PODS_NEVER_FAIL},
    }
    platform = {"nodes": 1, "zone_failure": NEVER, "node_failure": failure}
    result = predict(system(services, platform)).services["shop"]
    assert result.path_availability == pytest.approx(steady_state(1000, 20), abs=1e-9)


def test_only_synchronous_required_calls_are_on_the_path() -> None:
    services: dict[str, dict[str, object]] = {
        "shop": {
            "calls": [
                {"to": "database"},
                {"to": "cache", "required": False},
                {"to": "mail", "mode": "async"},
                {"to": "never", "share": 0},
            ]
        },
        "database": {"calls": [{"to": "disk"}]},
        "disk": {},
        "cache": {},
        "mail": {},
        "never": {},
    }
    assert predict(system(services)).services["shop"].path == ("shop", "database", "disk")


def test_a_path_is_never_more_available_than_any_of_its_services() -> None:
    services: dict[str, dict[str, object]] = {
        "shop": {"replicas": 2, "calls": [{"to": "database"}, {"to": "cache"}]},
        "database": {"storage": 1},
        "cache": {},
    }
    found = predict(system(services)).services
    path = found["shop"].path_availability
    assert path is not None
    assert all(path <= (item.availability or 0) for item in found.values())


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.integers(1, 4))
def test_one_more_replica_never_makes_a_service_less_available(replicas: int, nodes: int) -> None:
    platform: dict[str, object] = {"nodes": nodes}
    fewer, more = (one({"replicas": count}, platform).availability for count in (replicas, replicas + 1))
    assert fewer is not None
    assert more is not None
    assert more >= fewer - 1e-12


def test_replicas_that_the_load_needs_are_no_spares() -> None:
    busy = {"replicas": 2, "service_time": {"mean": 0.1}, "load": {"arrival_rate": 15}}
    result = one(busy)
    assert result.needed == 2
    assert [weak.kind for weak in result.single_points_of_failure] == ["service", "node", "node", "zone"]


def test_a_load_that_no_replica_count_here_carries_leaves_it_down() -> None:
    result = one({"replicas": 1, "service_time": {"mean": 0.1}, "load": {"arrival_rate": 15}})
    assert result.needed == 2
    assert result.availability == 0


def test_single_points_of_failure_are_named_with_what_they_break() -> None:
    services: dict[str, dict[str, object]] = {
        "shop": {"replicas": 2, "calls": [{"to": "database"}]},
        "database": {"storage": 1},
    }
    found = predict(system(services, {"nodes": 2, "zones": 2})).services["shop"].single_points_of_failure
    assert [(weak.kind, weak.name, weak.breaks) for weak in found] == [
        ("service", "database", ("database",)),
        ("node", "node 1", ("database",)),
        ("zone", "zone 1", ("database",)),
    ]


def test_replicas_over_two_zones_survive_one() -> None:
    assert one({"replicas": 2}, {"nodes": 2, "zones": 2}).single_points_of_failure == ()


def test_an_external_service_is_as_available_as_stated() -> None:
    services: dict[str, dict[str, object]] = {
        "shop": {"calls": [{"to": "bank"}], "failure": PODS_NEVER_FAIL},
        "bank": {"replicas": None, "kind": "external", "failure": {"mtbf": "99h", "mttr": "1h"}},
    }
    found = predict(system(services, PLATFORM | {"node_failure": NEVER})).services
    assert found["bank"].availability == pytest.approx(0.99)
    assert found["shop"].path_availability == pytest.approx(0.99)


@pytest.mark.parametrize(
    ("service", "platform", "unknown"),
    [
        ({"replicas": None}, PLATFORM, "services.one.replicas"),
        ({}, {"zones": 1}, "platform.nodes"),
        ({"replicas": None, "kind": "external"}, PLATFORM, "services.one.failure"),
    ],
)
def test_what_is_unknown_is_named(
    service: dict[str, object], platform: dict[str, object], unknown: str
) -> None:
    result = one(service, platform)
    assert result.unknown == (unknown,)
    assert result.path_availability is None


def test_many_nodes_are_judged_by_a_close_lower_bound() -> None:
    few, many = (one({"replicas": 3}, {"nodes": nodes, "zones": 3}).availability for nodes in (3, 60))
    assert few is not None
    assert many is not None
    assert many == pytest.approx(few, abs=5e-3)
    assert many <= 1


def test_every_default_says_where_it_comes_from() -> None:
    table = failure_table()
    figures = [value for name, value in table if name != "date"]
    assert all(figure.source for figure in figures)
