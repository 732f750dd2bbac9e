"""What belongs to what in a stack."""

from typing import Any

import pytest

from groundplan.policy.stack import Stack
from groundplan.policy.tree import Undecided
from groundplan.policy.workloads import Workload

from .support import stack_of, verdicts

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: %s}
spec:
  replicas: %s
  template:
    metadata: {labels: {app: shop}}
    spec: {containers: [{name: shop}]}
---
"""
BUDGET = """
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: %s, namespace: %s}
spec: {maxUnavailable: %s, selector: %s}
---
"""
SCALER = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: shop, namespace: %s}
spec: {scaleTargetRef: {kind: Deployment, name: shop}, minReplicas: 3, maxReplicas: 5}
---
"""


def deployment(namespace: str = "a", replicas: Any = 2) -> str:
    return DEPLOYMENT % (namespace, replicas)


def budget(name: str = "b", namespace: str = "a", unavailable: Any = 1, selector: str = "{}") -> str:
    return BUDGET % (name, namespace, unavailable, selector)


def first(stack: Stack) -> Workload:
    return stack.workloads[0]


def budgets(text: str) -> list[str]:
    stack = stack_of(text)
    return [found.name for found in stack.budgets_of(first(stack))]


def test_a_budget_protects_pods_of_its_own_namespace_only() -> None:
    assert budgets(deployment() + budget(namespace="a")) == ["b"]
    assert budgets(deployment() + budget(namespace="other")) == []


def test_a_missing_namespace_is_the_default_one() -> None:
    assert budgets(deployment("default") + budget(namespace="null")) == ["b"]


def test_a_budget_without_a_selector_protects_nothing_and_one_with_an_empty_selector_everything() -> None:
    assert budgets(deployment() + budget(selector="null")) == []
    assert budgets(deployment() + budget(selector="{}")) == ["b"]


def test_all_labels_of_a_budget_must_match() -> None:
    assert budgets(deployment() + budget(selector="{matchLabels: {app: shop, tier: web}}")) == []


def test_a_resource_in_an_unknown_namespace_may_belong_to_the_workload() -> None:
    with pytest.raises(Undecided, match=r"namespace isn't known.*PodDisruptionBudget"):
        budgets(deployment() + budget(namespace="!unknown x"))


def test_a_resource_in_an_unknown_namespace_that_selects_others_does_not_matter() -> None:
    assert budgets(deployment() + budget(namespace="!unknown x", selector="{matchLabels: {app: x}}")) == []


def test_only_the_budget_of_the_policy_group_is_one() -> None:
    assert budgets(deployment() + budget().replace("policy/v1", "example.org/v1")) == []


@pytest.mark.parametrize(
    ("unavailable", "replicas", "verdict"),
    [
        (1, 2, "pass"),
        (0, 2, "fail"),
        (2, 2, "fail"),
        ("50%", 2, "pass"),
        ("0%", 2, "fail"),
        ("34%", 3, "pass"),  # 1.02 rounds up to 2
        ("100%", 3, "fail"),
        ("1%", 2, "pass"),  # rounds up to one pod
        (1, 1, "pass"),
        ("many", 2, "undecided"),
    ],
)
def test_a_budget_leaves_room_for_one_eviction_but_not_for_all(
    unavailable: Any, replicas: int, verdict: str
) -> None:
    stack = stack_of(deployment(replicas=replicas) + budget(unavailable=unavailable))
    assert verdicts("disruption-budget", stack) == {verdict}


@pytest.mark.parametrize(
    ("available", "verdict"),
    [(1, "pass"), (2, "pass"), (3, "fail"), ("67%", "fail"), ("66%", "pass"), (0, "fail")],
)
def test_the_pods_that_stay_available_are_rounded_up_and_counted_at_the_minimum_of_the_autoscaler(
    available: Any, verdict: str
) -> None:
    text = deployment(replicas="null") + SCALER % "a" + budget(unavailable=f"null, minAvailable: {available}")
    assert verdicts("disruption-budget", stack_of(text)) == {verdict}


def test_two_budgets_for_the_same_pods_block_each_other() -> None:
    assert verdicts("disruption-budget", stack_of(deployment() + budget("x") + budget("y"))) == {"fail"}


def test_an_autoscaler_sets_the_number_of_replicas() -> None:
    stack = stack_of(deployment(replicas="null") + SCALER % "a")
    scale = stack.scale_of(first(stack))
    assert (scale.fewest, scale.most) == (3, 5)


def test_a_stated_number_counts_when_it_is_below_the_minimum_of_the_autoscaler() -> None:
    stack = stack_of(deployment(replicas=1) + SCALER % "a")
    assert stack.scale_of(first(stack)).fewest == 1
    assert verdicts("autoscaler", stack) == {"fail"}


def test_an_autoscaler_of_another_namespace_scales_nothing() -> None:
    stack = stack_of(deployment(replicas="null") + SCALER % "b")
    assert stack.scale_of(first(stack)).fewest == 1


def test_before_the_whole_stack_is_known_an_autoscaler_may_still_come() -> None:
    whole = stack_of(deployment(replicas="null"))
    part = Stack(whole.resources, partial=True)
    with pytest.raises(Undecided, match="autoscaler"):
        part.scale_of(first(part))


def test_services_and_network_policies_find_their_pods() -> None:
    text = deployment() + (
        "{apiVersion: v1, kind: Service, metadata: {name: s, namespace: a},"
        " spec: {selector: {app: shop}}}\n---\n"
        "{apiVersion: v1, kind: Service, metadata: {name: manual, namespace: a}, spec: {}}\n---\n"
        "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: n, namespace: a},"
        " spec: {podSelector: {}}}\n---\n"
        "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: m, namespace: a},"
        " spec: {podSelector: {matchLabels: {app: other}}}}"
    )
    stack = stack_of(text)
    assert [one.name for one in stack.services_of(first(stack))] == ["s"]
    assert [one.name for one in stack.network_policies_of(first(stack))] == ["n"]


SPREAD = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: a}
spec:
  replicas: 2
  template:
    metadata: {labels: {app: shop}}
    spec: {containers: [{name: shop}], %s}
"""
HOST = "{topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: shop}}}"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
TERM = "{topologyKey: %s, labelSelector: {matchExpressions: [{key: app, operator: In, values: [%s]}]}}"


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        (f"topologySpreadConstraints: [{TERM % ('kubernetes.io/hostname', 'shop')}]", "pass"),
        (f"topologySpreadConstraints: [{TERM % ('topology.kubernetes.io/zone', 'shop')}]", "pass"),
        (f"topologySpreadConstraints: [{TERM % ('kubernetes.io/os', 'shop')}]", "fail"),
        (f"topologySpreadConstraints: [{TERM % ('kubernetes.io/hostname', 'cart')}]", "fail"),
        ("topologySpreadConstraints: [{topologyKey: kubernetes.io/hostname}]", "fail"),
        (f"affinity: {{podAntiAffinity: {{{REQUIRED}: [{HOST}]}}}}", "pass"),
        (f"affinity: {{podAntiAffinity: {{{PREFERRED}: [{{podAffinityTerm: {HOST}}}]}}}}", "pass"),
        (f"affinity: {{podAffinity: {{{REQUIRED}: [{HOST}]}}}}", "fail"),
    ],
)
def test_spread_and_anti_affinity_both_keep_replicas_apart(fields: str, verdict: str) -> None:
    assert verdicts("spread", stack_of(SPREAD % fields)) == {verdict}


def test_a_single_replica_and_a_daemon_set_need_no_spread() -> None:
    alone = SPREAD.replace("replicas: 2", "replicas: 1") % "hostNetwork: false"
    everywhere = SPREAD.replace("kind: Deployment", "kind: DaemonSet") % "hostNetwork: false"
    assert verdicts("spread", stack_of(alone)) == {"pass"}
    assert verdicts("spread", stack_of(everywhere)) == {"pass"}


def test_replicas_that_exclude_each_other_must_find_enough_nodes() -> None:
    text = (
        SPREAD.replace("replicas: 2", "replicas: 4").replace(
            "namespace: a}", "namespace: a, annotations: {groundplan.dev/service: '{}'}}"
        )
        % f"affinity: {{podAntiAffinity: {{{REQUIRED}: [{HOST}]}}}}"
    )
    system = (
        "\n---\n{apiVersion: v1, kind: Namespace, metadata: {name: a, annotations: "
        """{groundplan.dev/system: '{"name": "a", "platform": {"nodes": %s}}'}}}"""
    )
    assert verdicts("spread", stack_of(text + system % 3)) == {"fail"}
    assert verdicts("spread", stack_of(text + system % 4)) == {"pass"}


def test_replicas_that_an_autoscaler_may_add_need_spread_too() -> None:
    text = SPREAD.replace("replicas: 2", "replicas: 1") % "hostNetwork: false"
    assert verdicts("spread", stack_of(text + "\n---" + SCALER % "a")) == {"fail"}
