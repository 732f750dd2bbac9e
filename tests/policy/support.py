"""Reading fixtures and judging them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from groundplan.policy.manifests import read_manifests
from groundplan.policy.registry import all_rules
from groundplan.policy.resources import Origin, Resource
from groundplan.policy.stack import Stack
from groundplan.policy.tree import UNKNOWN
from groundplan.policy.verdicts import Finding, Verdict

HERE = Path(__file__).parent
FIXTURES = HERE / "fixtures"

Path_ = tuple[str | int, ...]


class UnknownLoader(yaml.SafeLoader):
    """YAML with `!unknown` for a value that isn't known at preview."""


UnknownLoader.add_constructor("!unknown", lambda _loader, _node: UNKNOWN)


def stack_of(text: str) -> Stack:
    """The stack that a YAML text describes."""
    return Stack(read_manifests(text, "stack.yaml", UnknownLoader))


def stack_from(manifests: list[dict[str, Any]], *, partial: bool = False) -> Stack:
    """The stack that plain manifests describe."""
    return Stack(
        [Resource(one["kind"], one["apiVersion"], one, Origin(file="stack.yaml")) for one in manifests],
        partial=partial,
    )


def fixture(rule: str, which: str) -> list[dict[str, Any]]:
    """The manifests of a rule's good or bad example."""
    return list(yaml.safe_load_all((FIXTURES / rule / f"{which}.yaml").read_text()))


def judge(rule: str, stack: Stack) -> list[Finding]:
    """What one rule says."""
    return all_rules()[rule].judge(stack)


def verdicts(rule: str, stack: Stack) -> set[Verdict]:
    """The different verdicts of one rule."""
    return {finding.verdict for finding in judge(rule, stack)}


def failures(rule: str, stack: Stack) -> list[Finding]:
    """The failures that one rule finds."""
    return [finding for finding in judge(rule, stack) if finding.verdict is Verdict.FAIL]


def paths(value: Any, prefix: Path_ = ()) -> Iterator[Path_]:
    """The path of every value inside nested data."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*prefix, key)
        yield from paths(one, (*prefix, key))


def put(value: Any, path: Path_, new: Any) -> None:
    """Replace the value at a path."""
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = new
