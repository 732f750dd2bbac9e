"""Every rule on its good and bad example, and on the stack that its breakage breaks."""

import copy

import pytest
import yaml

from groundplan.policy.registry import all_rules
from groundplan.policy.stack import Stack
from groundplan.policy.verdicts import Finding, Level, Verdict

from .broken import BREAKAGES, Breakage
from .support import FIXTURES, HERE, fixture, judge, paths, put, stack_from

RULES = [rule.name for rule in all_rules()]
# what this rule finds can't be judged at all, so its bad example is one that it must not pass in silence
WORST = {"unseen": Verdict.UNDECIDED}
GOOD = list(yaml.safe_load_all((HERE / "good.yaml").read_text()))


def required(findings: list[Finding]) -> list[Finding]:
    return [
        finding
        for finding in findings
        if finding.verdict is Verdict.FAIL and finding.judgement.level is Level.REQUIRED
    ]


@pytest.mark.parametrize("rule", RULES)
def test_the_good_example_passes(rule: str) -> None:
    findings = judge(rule, stack_from(fixture(rule, "good")))
    assert findings
    assert {finding.verdict for finding in findings} == {Verdict.PASS}


@pytest.mark.parametrize("rule", RULES)
def test_the_bad_example_does_not_pass(rule: str) -> None:
    findings = judge(rule, stack_from(fixture(rule, "bad")))
    wanted = WORST.get(rule, Verdict.FAIL)
    assert wanted in {finding.verdict for finding in findings}
    if wanted is Verdict.FAIL:
        assert required(findings), "the example breaks something that is promised"


def test_rules_examples_and_breakages_are_complete() -> None:
    assert {folder.name for folder in FIXTURES.iterdir()} == set(RULES)
    broken = {breakage.rule for breakage in BREAKAGES}
    # the throughput of the good stack isn't promised, and nothing in it is hidden
    assert broken == set(RULES) - {"throughput", "unseen"}


def test_the_good_stack_is_met_with_silence() -> None:
    findings = all_rules().judge(stack_from(GOOD))
    assert [finding.message for finding in findings if finding.verdict is not Verdict.PASS] == []


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: breakage.name)
def test_a_broken_stack_is_refused_by_name(breakage: Breakage) -> None:
    manifests = copy.deepcopy(GOOD)
    breakage.apply(manifests)
    found = required(judge(breakage.rule, stack_from(manifests)))
    assert breakage.resource in {finding.subject for finding in found}
    for finding in found:
        assert finding.subject in finding.message
        assert "Fix: " in finding.message


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: breakage.name)
def test_what_is_refused_early_is_refused_over_the_whole_stack_too(breakage: Breakage) -> None:
    manifests = copy.deepcopy(GOOD)
    breakage.apply(manifests)
    whole = {finding.message for finding in required(all_rules().judge(stack_from(manifests)))}
    for manifest in manifests:
        alone = stack_from([manifest], partial=True)
        for rule in all_rules():
            if rule.early:
                assert {finding.message for finding in required(rule.judge(alone))} <= whole


@pytest.mark.parametrize("rule", [rule.name for rule in all_rules() if rule.early])
def test_whatever_is_missing_a_rule_is_never_stricter_early_than_over_the_whole_stack(rule: str) -> None:
    good = fixture(rule, "good")
    for path in paths(good):
        if len(path) == 1 or path[1] in ("kind", "apiVersion"):
            continue
        manifests = copy.deepcopy(good)
        put(manifests, path, None)
        early = [finding for one in manifests for finding in judge(rule, stack_from([one], partial=True))]
        if required(early):
            assert required(judge(rule, stack_from(manifests))), path


@pytest.mark.parametrize("name", ["one-replica", "no-readiness", "no-memory-limit", "root", "not-spread"])
def test_rules_about_one_resource_refuse_it_before_it_is_created(name: str) -> None:
    breakage = next(one for one in BREAKAGES if one.name == name)
    manifests = copy.deepcopy(GOOD)
    breakage.apply(manifests)
    found: list[Finding] = []
    for manifest in manifests:
        found += all_rules()[breakage.rule].judge(stack_from([manifest], partial=True))
    assert breakage.resource in {finding.subject for finding in required(found)}


def test_a_workload_without_a_promise_gets_advice_only() -> None:
    manifests = [fixture("replicas", "bad")[0]]
    del manifests[0]["metadata"]["annotations"]
    stack = stack_from(manifests)
    findings = all_rules().judge(stack)
    assert required(findings) == []
    advised = {finding.rule for finding in findings if finding.verdict is Verdict.FAIL}
    assert {"replicas", "resources", "pod-security-restricted"} <= advised


def test_a_database_may_stay_single_as_long_as_its_path_keeps_the_slo() -> None:
    (message,) = {
        finding.message
        for finding in judge("single-point-of-failure", stack_from(GOOD))
        if finding.subject == "StatefulSet shop/database" and "path of edge" in finding.message
    }
    assert "predicted to fail rarely enough" in message


def test_the_minimum_of_replicas_can_be_configured() -> None:
    stack = stack_from(fixture("replicas", "good"))
    (finding,) = all_rules()["replicas"].judge(stack, {"minimum": 3.0})
    assert finding.verdict is Verdict.FAIL
    assert "must be at least 3" in finding.message


def test_an_empty_stack_has_nothing_to_judge_but_itself() -> None:
    findings = all_rules().judge(Stack([]))
    assert {(finding.rule, finding.subject) for finding in findings} == {("unseen", "the stack")}
