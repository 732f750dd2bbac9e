"""What the engine says while it works, as plain values, and shown as progress."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pulumi.automation import EngineEvent, OpType

from groundplan.errors import DeployError
from groundplan.progress import Step

_MARKUP = re.compile(r"<\{%.*?%\}>")
_UNCHANGED = frozenset({"same", "read", "refresh"})
_VERBS = {"create": "creating", "update": "updating", "delete": "deleting", "replace": "replacing"}


@dataclass(frozen=True)
class Change:
    """One resource and what is or would be done to it: create, update, delete, replace, ..."""

    operation: str
    type: str
    name: str
    urn: str


@dataclass(frozen=True)
class Violation:
    """A rule of a policy pack that a resource, or the stack as a whole, breaks."""

    rule: str
    message: str
    mandatory: bool
    resource: str | None


@dataclass(frozen=True)
class Diagnostic:
    """A message of the program, the engine or a provider; severity: info, warning or error."""

    severity: str
    message: str
    resource: str | None


@dataclass(frozen=True)
class Outcome:
    """Result of a preview or an update. seconds: how long it took, start of the engine included."""

    changes: tuple[Change, ...]
    violations: tuple[Violation, ...]
    diagnostics: tuple[Diagnostic, ...]
    counts: Mapping[str, int]
    seconds: float

    @property
    def has_changes(self) -> bool:
        """Whether anything differs from what is deployed."""
        return any(count for operation, count in self.counts.items() if operation not in _UNCHANGED)

    @property
    def mandatory_violations(self) -> tuple[Violation, ...]:
        """The violations that forbid a deployment."""
        return tuple(violation for violation in self.violations if violation.mandatory)

    def require_allowed(self) -> None:
        """Raise DeployError when the policy gate refuses the stack; each violation is a note on it."""
        refused = self.mandatory_violations
        if not refused:
            return
        error = DeployError(
            f"The policy gate refuses the stack: {len(refused)} mandatory "
            + ("rules are" if len(refused) > 1 else "rule is")
            + " broken",
            refused[0].resource,
            fix="Nothing was deployed. Mend what the rules name, or change the promise in the spec.",
        )
        for violation in refused:
            error.add_note(f"{violation.rule} ({violation.resource or 'stack'}): {violation.message}")
        raise error


def plain(text: str) -> str:
    """The engine's text without its colour marks."""
    return _MARKUP.sub("", text).strip()


def short_name(urn: str) -> str:
    """`type name` of a resource's long name, such as `Deployment shop`."""
    parts = urn.split("::")
    if len(parts) < 4:
        return urn
    return f"{parts[2].rsplit('$', 1)[-1].rsplit(':', 1)[-1]} {parts[3]}"


@dataclass
class Collector:
    """Receives events of one engine run; `expected` resources give the fraction that is done."""

    step: Step
    expected: int | None = None
    changes: dict[str, Change] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    namespaces: set[str] = field(default_factory=set)
    under_way: dict[str, str] = field(default_factory=dict)
    done: int = 0

    def __call__(self, event: EngineEvent) -> None:
        """Take one event; called from the API's own thread."""
        if event.resource_pre_event:
            self._started(event)
        elif event.res_outputs_event:
            self._finished(event.res_outputs_event.metadata.urn)
        elif event.res_op_failed_event:
            self._finished(event.res_op_failed_event.metadata.urn)
        elif event.policy_event:
            policy = event.policy_event
            self.violations.append(
                Violation(
                    policy.policy_name,
                    plain(policy.message),
                    policy.enforcement_level == "mandatory",
                    short_name(policy.resource_urn) if policy.resource_urn else None,
                )
            )
        elif event.diagnostic_event:
            self._said(event)
        elif event.summary_event:
            changes: Mapping[Any, int] = event.summary_event.resource_changes
            self.counts.update({_operation(key): count for key, count in changes.items()})

    def _started(self, event: EngineEvent) -> None:
        assert event.resource_pre_event
        metadata = event.resource_pre_event.metadata
        operation = _operation(metadata.op)
        name = metadata.urn.split("::")[-1]
        state = metadata.new or metadata.old
        inputs: Mapping[str, Any] = (state.inputs if state else None) or {}
        namespace = (inputs.get("metadata") or {}).get("namespace")
        if isinstance(namespace, str):
            self.namespaces.add(namespace)
        if operation in _UNCHANGED:
            self._finished(metadata.urn)
            return
        self.changes[metadata.urn] = Change(operation, metadata.type, name, metadata.urn)
        self.under_way[metadata.urn] = f"{_VERBS.get(operation, operation)} {short_name(metadata.urn)}"
        self._show(self.under_way[metadata.urn])

    def _finished(self, urn: str) -> None:
        self.done += 1
        self.under_way.pop(urn, None)
        self._show(next(iter(self.under_way.values()), short_name(urn)))

    def _said(self, event: EngineEvent) -> None:
        assert event.diagnostic_event
        diagnostic = event.diagnostic_event
        message = plain(diagnostic.message)
        resource = short_name(diagnostic.urn) if diagnostic.urn else None
        if not message:
            return
        if diagnostic.ephemeral:  # how far a provider's wait is
            self._show(f"{resource}: {message}" if resource else message)
            return
        severity = diagnostic.severity.split("#")[0]
        self.diagnostics.append(Diagnostic(severity, message, resource))

    def _show(self, text: str) -> None:
        fraction = min(self.done / self.expected, 1.0) if self.expected else None
        count = f"{self.done} of {self.expected} resources" if self.expected else f"{self.done} resources"
        self.step.update(f"{count}: {text}", fraction)

    def outcome(self, seconds: float) -> Outcome:
        """Everything that was received."""
        return Outcome(
            tuple(self.changes.values()),
            tuple(self.violations),
            tuple(self.diagnostics),
            dict(self.counts),
            seconds,
        )


def _operation(key: OpType | str) -> str:
    return key.value if isinstance(key, OpType) else str(key)
