"""A value that isn't known yet never leads to a wrong verdict, an error or silence."""

import copy
from typing import Any

import pytest

from groundplan.policy.registry import all_rules
from groundplan.policy.tree import UNKNOWN
from groundplan.policy.verdicts import Verdict

from .support import Path_, fixture, judge, paths, put, stack_from, verdicts

RULES = [rule.name for rule in all_rules()]
# a field of the good example that each rule must ask for, as the number of the manifest and the path in it
ASKED: dict[str, tuple[Path_, ...]] = {
    "autoscaler": (
        (0, "spec", "template", "spec", "containers", 0, "resources"),
        (1, "spec", "scaleTargetRef", "name"),
        (1, "spec", "metrics"),
    ),
    "availability": ((1, "spec", "replicas"), (0, "metadata", "annotations")),
    "budget": ((1, "spec", "template", "spec", "containers"), (2, "spec", "replicas")),
    "disruption-budget": (
        (0, "spec", "replicas"),
        (0, "spec", "template", "metadata", "labels", "app"),
        (0, "metadata", "annotations"),
        (1, "spec", "maxUnavailable"),
        (1, "spec", "selector", "matchLabels", "app"),
    ),
    "pod-security-admission": ((0, "metadata", "labels"), (1, "metadata", "namespace")),
    "pod-security-restricted": (
        (0, "spec", "template", "spec"),
        (0, "spec", "template", "spec", "securityContext", "runAsNonRoot"),
        (0, "spec", "template", "spec", "containers", 0, "securityContext", "capabilities", "drop", 0),
    ),
    "probes": (
        (0, "spec", "template", "spec", "containers", 0, "readinessProbe"),
        (0, "spec", "template", "spec", "containers", 0, "livenessProbe", "httpGet", "port"),
    ),
    "promise": ((0, "metadata", "annotations", "groundplan.dev/service"),),
    "replicas": ((0, "spec", "replicas"), (0, "metadata", "annotations", "groundplan.dev/service")),
    "resources": ((0, "spec", "template", "spec", "containers", 0, "resources", "limits", "memory"),),
    "response-time": ((1, "spec", "replicas"), (2, "metadata", "annotations")),
    "single-point-of-failure": ((2, "spec", "replicas"),),
    "spread": (
        (0, "spec", "template", "spec", "topologySpreadConstraints", 0, "topologyKey"),
        (0, "spec", "template", "metadata", "labels", "app"),
    ),
    "throughput": ((1, "spec", "replicas"),),
}


def with_value(manifests: list[dict[str, Any]], path: Path_, value: Any) -> list[dict[str, Any]]:
    changed = copy.deepcopy(manifests)
    put(changed, path, value)
    return changed


def replaceable(manifests: list[dict[str, Any]]) -> list[Path_]:
    """Paths of all values but the manifests themselves and what kind they are."""
    return [path for path in paths(manifests) if len(path) > 1 and path[1] not in ("kind", "apiVersion")]


@pytest.mark.parametrize(
    ("rule", "path"), [(rule, path) for rule, asked in ASKED.items() for path in asked], ids=str
)
def test_a_rule_says_undecided_and_names_the_unknown(rule: str, path: Path_) -> None:
    stack = stack_from(with_value(fixture(rule, "good"), path, UNKNOWN))
    findings = [finding for finding in judge(rule, stack) if finding.verdict is Verdict.UNDECIDED]
    assert findings
    name = path[-1] if isinstance(path[-1], str) else path[-2]
    assert any(str(name) in finding.message for finding in findings), [f.message for f in findings]


def test_every_rule_is_asked_about_unknown_values() -> None:
    assert set(ASKED) == set(RULES) - {"unseen"}  # it judges kinds, and these are always known


@pytest.mark.parametrize("rule", RULES)
def test_an_unknown_value_never_breaks_a_good_example(rule: str) -> None:
    manifests = fixture(rule, "good")
    for path in replaceable(manifests):
        found = verdicts(rule, stack_from(with_value(manifests, path, UNKNOWN)))
        assert Verdict.FAIL not in found, path


@pytest.mark.parametrize("rule", RULES)
def test_what_passes_in_spite_of_an_unknown_value_passes_whatever_the_value_is(rule: str) -> None:
    manifests = fixture(rule, "good")
    for path in replaceable(manifests):
        if verdicts(rule, stack_from(with_value(manifests, path, UNKNOWN))) != {Verdict.PASS}:
            continue
        others: tuple[Any, ...] = (None, {}, [], "other", 0, 1, True, False)
        for value in others:
            found = verdicts(rule, stack_from(with_value(manifests, path, value)))
            assert Verdict.FAIL not in found, (path, value)


@pytest.mark.parametrize("rule", RULES)
def test_a_value_of_the_wrong_shape_is_no_error(rule: str) -> None:
    manifests = fixture(rule, "good")
    for path in replaceable(manifests):
        for value in ("other", 7, ["a"], {"a": "b"}):
            findings = judge(rule, stack_from(with_value(manifests, path, value)))
            assert all(finding.message for finding in findings)


def test_an_unknown_value_does_not_hide_what_is_wrong_elsewhere() -> None:
    manifests = fixture("pod-security-restricted", "bad")
    path: Path_ = (0, "spec", "template", "spec", "hostNetwork")
    found = verdicts("pod-security-restricted", stack_from(with_value(manifests, path, UNKNOWN)))
    assert found == {Verdict.FAIL, Verdict.UNDECIDED}


def test_a_secret_in_a_wrong_place_is_not_told() -> None:
    secret = "hunter2"
    for rule in RULES:
        manifests = fixture(rule, "good")
        for path in replaceable(manifests):
            if path[-1] in ("containers", "securityContext", "resources", "readinessProbe", "spec"):
                for finding in judge(rule, stack_from(with_value(manifests, path, secret))):
                    assert secret not in finding.message
