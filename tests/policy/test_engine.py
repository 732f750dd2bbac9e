"""The gate in the real engine: the good stack passes, every broken copy is refused by name.

Breakages that don't touch each other share a preview, because each preview starts the engine anew.
"""

import copy
import json
import re
from typing import Any

import pytest

from .broken import BREAKAGES, SERVICE, find, restate
from .engine import PACK, Engine
from .test_rules import GOOD

pytestmark = pytest.mark.engine

BY_NAME = {breakage.name: breakage for breakage in BREAKAGES}
# previews, each with breakages that leave the others visible
TOGETHER = (
    ("one-replica", "blocked-drain", "no-readiness", "no-memory-limit", "root", "refused-pods", "expensive"),
    ("budget-elsewhere", "not-spread", "unavailable", "slow", "single-shop"),
    ("no-budget", "unreadable-promise", "blind-autoscaler"),
)


def broken(*names: str) -> list[dict[str, Any]]:
    manifests = copy.deepcopy(GOOD)
    for name in names:
        BY_NAME[name].apply(manifests)
    return manifests


def violations(text: str, level: str) -> list[tuple[str, str]]:
    """Rule and message of everything of this level that the engine reports."""
    pattern = rf"\[{level}\].*?  ([a-z-]+)  \(.*\)\n +.*\n +(.*)"
    return re.findall(pattern, text)


def test_every_breakage_is_tried_with_the_engine() -> None:
    assert {name for names in TOGETHER for name in names} == set(BY_NAME)


def test_the_good_stack_passes(engine: Engine) -> None:
    engine.deploys(GOOD)
    answer = engine.preview()
    assert answer.code == 0, answer.text
    assert violations(answer.text, "mandatory") == []
    assert violations(answer.text, "advisory") == []
    assert "+ 13 to create" in answer.text


@pytest.mark.parametrize("names", TOGETHER, ids=" ".join)
def test_a_broken_copy_is_refused_by_rule_and_resource(engine: Engine, names: tuple[str, ...]) -> None:
    engine.deploys(broken(*names))
    answer = engine.preview()
    assert answer.code != 0
    found = violations(answer.text, "mandatory")
    for name in names:
        breakage = BY_NAME[name]
        messages = [message for rule, message in found if rule == breakage.rule]
        assert any(message.startswith(f"{breakage.resource}: ") for message in messages), answer.text


def test_an_unknown_value_is_undecided_and_does_not_refuse(engine: Engine) -> None:
    manifests = copy.deepcopy(GOOD)
    find(manifests, "Deployment", "edge")["spec"]["replicas"] = "<unknown>"
    engine.deploys(manifests)
    answer = engine.preview()
    assert answer.code == 0, answer.text
    messages = [message for rule, message in violations(answer.text, "advisory") if rule == "undecided"]
    for rule in ("replicas", "spread", "availability", "response-time", "budget"):
        assert any(message.startswith(f"[{rule}] ") for message in messages), answer.text
    assert any("spec.replicas isn't known before deployment" in message for message in messages)


def test_without_a_preview_the_broken_resource_is_still_not_created(engine: Engine) -> None:
    engine.deploys(broken("root"))
    answer = engine.run("up", "--yes", "--skip-preview", "--policy-pack", str(PACK))
    try:
        assert answer.code != 0
        assert ("pod-security-restricted", "Deployment shop/orders") in {
            (rule, message.partition(":")[0]) for rule, message in violations(answer.text, "mandatory")
        }, answer.text
        rendered = [file.name for file in (engine.folder / "rendered").rglob("*.yaml")]
        assert not [name for name in rendered if "deployment" in name and "orders" in name]
    finally:
        removed = engine.run("destroy", "--yes", "--skip-preview")
    assert removed.code == 0, removed.text


def test_rules_can_be_configured_for_a_run(engine: Engine) -> None:
    manifests = broken("one-replica")
    restate(manifests, "Deployment", "edge", SERVICE, slo={"availability": 0.9})
    engine.deploys(manifests)
    configuration = engine.folder / "policy-config.json"
    configuration.write_text(
        json.dumps(
            {
                "replicas": {"enforcementLevel": "mandatory", "minimum": 1},
                "single-point-of-failure": "advisory",
            }
        )
    )
    answer = engine.preview("--policy-pack-config", str(configuration))
    assert answer.code == 0, answer.text
    assert [rule for rule, _ in violations(answer.text, "advisory")] == ["single-point-of-failure"]
