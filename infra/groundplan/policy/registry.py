"""Rules, the set of them, and how they are run over a stack."""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar

from groundplan.errors import GroundplanError
from groundplan.policy.promises import StatedSystem
from groundplan.policy.resources import Origin
from groundplan.policy.stack import Stack
from groundplan.policy.tree import Undecided
from groundplan.policy.verdicts import Finding, Judgement, Severity, Verdict, holds, undecided
from groundplan.policy.workloads import Workload


class PolicyError(GroundplanError):
    """The set of rules or its configuration is wrong."""


class Subject(StrEnum):
    """What a rule is asked about, one at a time."""

    WORKLOAD = "workload"  # everything that makes pods
    SYSTEM = "system"  # the services that state a promise together
    STACK = "stack"  # all resources at once


@dataclass(frozen=True)
class Parameter:
    """A value that a user can set for a rule."""

    default: int
    minimum: int
    description: str


@dataclass(frozen=True)
class Context:
    """What a rule may look at besides its subject."""

    stack: Stack
    parameters: Mapping[str, int]


Check = Callable[[Any, Context], Iterator[Judgement]]


@dataclass(frozen=True)
class Rule:
    """One rule: what it is called and why it exists, and the function that judges.

    early: whether it can refuse a resource when only that resource is known, just before it is created.
    Such a rule never fails early what it would pass with the whole stack in view.
    """

    name: str
    title: str
    severity: Severity
    subject: Subject
    why: str
    fix: str
    link: str
    check: Check
    early: bool = False
    parameters: Mapping[str, Parameter] = field(default_factory=dict)

    def judge(self, stack: Stack, parameters: Mapping[str, Any] | None = None) -> list[Finding]:
        """Findings about every subject in the stack; at least one for each."""
        context = Context(stack, self._values(parameters or {}))
        found: list[Finding] = []
        for subject in self._subjects(stack):
            judgements = list(_judgements(self.check, subject, context)) or [holds("holds")]
            found += [self._finding(subject, judgement) for judgement in judgements]
        return found

    def _subjects(self, stack: Stack) -> Iterable[Workload | StatedSystem | Stack]:
        match self.subject:
            case Subject.WORKLOAD:
                return stack.workloads
            case Subject.SYSTEM:
                return stack.systems
            case Subject.STACK:
                return (stack,)

    def _finding(self, subject: Workload | StatedSystem | Stack, judgement: Judgement) -> Finding:
        resource = judgement.about
        if resource is None and not isinstance(subject, Stack):
            resource = subject.resource
        title = "the stack" if resource is None else resource.title
        origin = Origin() if resource is None else resource.origin
        return Finding(self.name, title, origin, judgement, judgement.fix or self.fix)

    def _values(self, given: Mapping[str, Any]) -> dict[str, int]:
        values = {}
        for name in given:
            if name not in self.parameters:
                raise PolicyError(
                    f"rule {self.name} has no parameter {name}",
                    bound=f"one of {', '.join(self.parameters) or 'none'}",
                )
        for name, parameter in self.parameters.items():
            value = given.get(name, parameter.default)
            if (
                isinstance(value, bool)
                or not isinstance(value, int | float)
                or value != int(value)
                or value < parameter.minimum
            ):
                raise PolicyError(
                    f"parameter {name} of rule {self.name} is wrong",
                    value=value,
                    bound=f"a whole number of at least {parameter.minimum}",
                )
            values[name] = int(value)
        return values


class Registry:
    """Rules by name."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._rules: dict[str, Rule] = {}
        for rule in rules:
            self.add(rule)

    def add(self, rule: Rule) -> None:
        """Add a rule. Raises PolicyError when its name is taken."""
        if rule.name in self._rules:
            raise PolicyError(
                "two rules have the same name", value=rule.name, fix="Rename one of the two rules."
            )
        self._rules[rule.name] = rule

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._rules.values())

    def __getitem__(self, name: str) -> Rule:
        return self._rules[name]

    def judge(self, stack: Stack) -> list[Finding]:
        """Findings of every rule about every subject."""
        return [finding for rule in self for finding in rule.judge(stack)]


@cache
def all_rules() -> Registry:
    """Every rule: one for each module in `groundplan.policy.rules`, in the order of their names."""
    package = importlib.import_module("groundplan.policy.rules")
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    return Registry(
        importlib.import_module(f"{package.__name__}.{name}").RULE
        for name in names
        if not name.startswith("_")
    )


_T = TypeVar("_T")


def each(items: Iterable[_T], check: Callable[[_T], Iterator[Judgement]]) -> Iterator[Judgement]:
    """Judge parts on their own: one that is undecided doesn't hide what is wrong with another."""
    for item in items:
        try:
            yield from check(item)
        except Undecided as reason:
            yield undecided(reason)


def _judgements(check: Check, subject: object, context: Context) -> Iterator[Judgement]:
    try:
        yield from check(subject, context)
    except Undecided as reason:
        yield undecided(reason)


def broken(findings: Iterable[Finding]) -> list[Finding]:
    """The failures among findings."""
    return [finding for finding in findings if finding.verdict is Verdict.FAIL]
