"""Systems put together from annotations and resources."""

import copy
from typing import Any

import pytest
import yaml

from groundplan.policy.promises import StatedSystem
from groundplan.policy.tree import UNKNOWN, Undecided

from .broken import SERVICE, SYSTEM, container, find, remove, restate
from .support import HERE, failures, judge, stack_from

GOOD = list(yaml.safe_load_all((HERE / "good.yaml").read_text()))


@pytest.fixture
def manifests() -> list[dict[str, Any]]:
    return copy.deepcopy(GOOD)


def only_system(manifests: list[dict[str, Any]]) -> StatedSystem:
    (system,) = stack_from(manifests).systems
    return system


def test_a_system_is_what_its_resources_would_run(manifests: list[dict[str, Any]]) -> None:
    system = only_system(manifests).system
    assert system.name == "shop"
    assert system.platform.nodes == 4
    assert set(system.services) == {"edge", "shop", "orders", "database"}
    edge, shop, database = (system.services[name] for name in ("edge", "shop", "database"))
    assert (edge.replicas, edge.cpu, edge.memory) == (2, 0.1, 64 * 2**20)
    assert shop.autoscaling is not None
    assert (shop.autoscaling.min, shop.autoscaling.max) == (2, 4)
    assert shop.autoscaling.target_cpu_utilization == 0.6
    assert (database.replicas, database.storage) == (1, 2 * 2**30)


def test_sidecars_count_and_start_up_steps_do_not(manifests: list[dict[str, Any]]) -> None:
    pod = find(manifests, "Deployment", "edge")["spec"]["template"]["spec"]
    extra = {"name": "x", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}
    pod["initContainers"] = [extra]
    assert only_system(manifests).system.services["edge"].cpu == 0.1
    pod["initContainers"] = [{**extra, "restartPolicy": "Always"}]
    assert only_system(manifests).system.services["edge"].cpu == 1.1


def test_a_limit_stands_in_for_a_missing_request(manifests: list[dict[str, Any]]) -> None:
    container(manifests, "Deployment", "edge")["resources"] = {"limits": {"cpu": "200m", "memory": "64Mi"}}
    edge = only_system(manifests).system.services["edge"]
    assert (edge.cpu, edge.cpu_limit) == (0.2, 0.2)


def test_numbers_may_be_floats_as_pulumi_hands_them_over(manifests: list[dict[str, Any]]) -> None:
    find(manifests, "Deployment", "edge")["spec"]["replicas"] = 2.0
    assert only_system(manifests).system.services["edge"].replicas == 2


def test_an_autoscaler_without_metrics_follows_cpu_at_eighty_percent(manifests: list[dict[str, Any]]) -> None:
    del find(manifests, "HorizontalPodAutoscaler", "shop")["spec"]["metrics"]
    autoscaling = only_system(manifests).system.services["shop"].autoscaling
    assert autoscaling is not None
    assert autoscaling.target_cpu_utilization == 0.8


def test_an_autoscaler_that_follows_something_else_leaves_the_system_undecided(
    manifests: list[dict[str, Any]],
) -> None:
    find(manifests, "HorizontalPodAutoscaler", "shop")["spec"]["metrics"] = [
        {"type": "Pods", "pods": {"metric": {"name": "queue"}, "target": {"type": "AverageValue"}}}
    ]
    with pytest.raises(Undecided, match="CPU utilization"):
        _ = only_system(manifests).system
    (finding,) = judge("budget", stack_from(manifests))
    assert finding.verdict == "undecided"


def test_a_service_run_by_someone_else_can_be_stated_on_a_service(manifests: list[dict[str, Any]]) -> None:
    restate(manifests, "Deployment", "shop", SERVICE, calls=[{"to": "payment"}])
    manifests.append(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": "payment",
                "namespace": "shop",
                "annotations": {SERVICE: '{"kind": "external", "service_time": {"mean": "80ms"}}'},
            },
            "spec": {"type": "ExternalName", "externalName": "payment.example"},
        }
    )
    assert only_system(manifests).system.services["payment"].kind == "external"
    findings = judge("availability", stack_from(manifests))
    assert {finding.verdict for finding in findings} == {"undecided"}
    assert all("services.payment.failure" in finding.message for finding in findings)


def test_a_call_to_nowhere_is_refused(manifests: list[dict[str, Any]]) -> None:
    remove(manifests, "StatefulSet", "database")
    (finding,) = failures("promise", stack_from(manifests))
    assert "calls a service that isn't there" in finding.message
    assert "database" in finding.message


def test_two_workloads_for_one_service_are_refused(manifests: list[dict[str, Any]]) -> None:
    annotations = find(manifests, "Deployment", "orders")["metadata"]["annotations"]
    annotations["groundplan.dev/service-name"] = "shop"
    (finding,) = failures("promise", stack_from(manifests))
    assert "two resources state a promise for the same service" in finding.message


def test_every_unreadable_promise_is_told(manifests: list[dict[str, Any]]) -> None:
    restate(manifests, "Deployment", "shop", SERVICE, slo={"availability": 2})
    find(manifests, "Deployment", "edge")["metadata"]["annotations"][SERVICE] = "{"
    found = {finding.subject: finding.message for finding in failures("promise", stack_from(manifests))}
    assert set(found) == {"Deployment shop/edge", "Deployment shop/shop"}
    assert "slo.availability" in found["Deployment shop/shop"]
    assert "isn't valid JSON" in found["Deployment shop/edge"]


def test_an_unreadable_system_is_told(manifests: list[dict[str, Any]]) -> None:
    restate(manifests, "Namespace", "shop", SYSTEM, platform={"nodes": 0})
    (finding,) = failures("promise", stack_from(manifests))
    assert "platform.nodes" in finding.message
    assert finding.subject == "Namespace shop"


def test_services_belong_to_the_system_of_their_namespace(manifests: list[dict[str, Any]]) -> None:
    other = copy.deepcopy([find(manifests, "Namespace", "shop"), find(manifests, "Deployment", "orders")])
    other[0]["metadata"]["name"] = "bank"
    other[1]["metadata"]["namespace"] = "bank"
    systems = stack_from([*manifests, *other]).systems
    assert [len(system.members) for system in systems] == [4, 1]


def test_without_a_stated_system_promises_are_still_judged(manifests: list[dict[str, Any]]) -> None:
    remove(manifests, "Namespace", "shop")
    restate(manifests, "StatefulSet", "database", SERVICE, service_time={"mean": "600ms"})
    assert failures("response-time", stack_from(manifests))


def test_an_annotation_that_may_be_a_promise_is_not_taken_for_none(manifests: list[dict[str, Any]]) -> None:
    find(manifests, "Deployment", "orders")["metadata"]["annotations"] = UNKNOWN
    (finding,) = judge("budget", stack_from(manifests))
    assert finding.verdict == "undecided"
    assert "metadata.annotations" in finding.message


def test_the_models_are_asked_once_for_all_rules(manifests: list[dict[str, Any]]) -> None:
    system = only_system(manifests)
    assert system.evaluation is system.evaluation


def test_a_daemon_set_runs_once_on_each_node(manifests: list[dict[str, Any]]) -> None:
    edge = find(manifests, "Deployment", "edge")
    edge["kind"] = "DaemonSet"
    del edge["spec"]["replicas"]
    assert only_system(manifests).system.services["edge"].replicas == 4
