"""The set of rules."""

import re

import pytest

from groundplan.policy.registry import PolicyError, Registry, all_rules
from groundplan.policy.stack import Stack

RULES = list(all_rules())


def test_a_name_can_be_taken_once_only() -> None:
    with pytest.raises(PolicyError, match="two rules have the same name"):
        Registry([RULES[0], RULES[0]])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_says_what_it_is_for(rule: object) -> None:
    found = next(one for one in RULES if one is rule)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", found.name)
    assert len(found.title) > 15
    assert not found.title.endswith(".")
    assert found.why.endswith(".")
    assert found.fix.endswith(".")
    assert found.link.startswith("https://")
    module = found.check.__module__.rpartition(".")[2]
    assert module == found.name.replace("-", "_")


def test_a_parameter_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(PolicyError, match="no parameter minimun, must be one of minimum"):
        all_rules()["replicas"].judge(Stack([]), {"minimun": 3})


@pytest.mark.parametrize("value", [0, 1.5, "3", True])
def test_a_parameter_with_a_wrong_value_is_an_error(value: object) -> None:
    with pytest.raises(PolicyError, match="a whole number of at least 1"):
        all_rules()["replicas"].judge(Stack([]), {"minimum": value})
