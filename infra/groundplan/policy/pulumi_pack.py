"""The rules as a Pulumi policy pack.

Each rule is one Pulumi policy, so that its level and parameters can be configured by name; all of them read
one model of the stack, built once for each question of the engine. A rule that can be judged early refuses
a resource just before it is created; every rule is judged over the whole stack at preview. Two more
policies, both advisory, carry what doesn't refuse a deployment: `advice` and `undecided`.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyConfigSchema,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Severity,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from groundplan.policy.registry import Registry, Rule, all_rules
from groundplan.policy.resources import Origin, Resource
from groundplan.policy.stack import Stack
from groundplan.policy.tree import UNKNOWN
from groundplan.policy.verdicts import Finding, Level, Verdict

_KUBERNETES = "kubernetes:"
_Args = ResourceValidationArgs | StackValidationArgs


def policies(rules: Registry | None = None) -> list[Policy]:
    """The Pulumi policies of all rules, followed by those that carry advice and undecided verdicts."""
    runs = _Runs()
    # the two last ones report what the rules before them found, and nothing for a rule that is switched off
    return [
        *(
            _EarlyRulePolicy(rule, runs) if rule.early else _RulePolicy(rule, runs)
            for rule in rules or all_rules()
        ),
        _RemarkPolicy("advice", "What is unwise, though no stated promise depends on it", runs, Level.ADVICE),
        _RemarkPolicy("undecided", "What can't be judged before deployment", runs, None),
    ]


def resource(resource_type: str, urn: str, properties: Mapping[str, Any]) -> Resource | None:
    """A Pulumi resource as rules see it; None when it isn't a Kubernetes resource."""
    if not resource_type.startswith(_KUBERNETES):
        return None
    _, version, kind = resource_type.split(":", 2)
    content = plain(properties)
    stated = content.get("apiVersion")
    api_version = (
        stated if isinstance(stated, str) and not kind.endswith("Patch") else version.removeprefix("core/")
    )
    if kind == "Secret":  # nothing in a secret matters to a rule, and nothing of it may reach a message
        content = {name: value for name, value in content.items() if name not in ("data", "stringData")}
    return Resource(kind, api_version, content, Origin(urn=urn))


def plain(value: Any) -> Any:
    """Plain data of Pulumi's property proxies, with UNKNOWN wherever a value isn't known yet."""
    if isinstance(value, Mapping):
        return {str(key): _value(value, key) for key in value if not str(key).startswith("__")}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_value(value, index) for index in range(len(value))]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return str(type(value).__name__)  # an asset or archive


def _value(parent: Any, key: Any) -> Any:
    try:
        return plain(parent[key])
    except UnknownValueError:
        return UNKNOWN


@dataclass
class _Run:
    """One question of the engine:

    a resource or the whole stack, and what the rules have said of it so far.
    """

    stack: Stack
    asked: set[str] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)


class _Runs:
    """The model that belongs to the question under way.

    The engine asks policy after policy, each question within one thread. A policy that comes a second time
    begins a new question.
    """

    def __init__(self) -> None:
        self._local = threading.local()
        self._reported: set[tuple[str, str | None, str]] = set()

    def current(self, policy: str, args: _Args) -> _Run:
        """The run of this question, begun when the policy asked before or the question is of another kind."""
        run: _Run | None = getattr(self._local, "run", None)
        key = args.urn if isinstance(args, ResourceValidationArgs) else None
        if run is None or policy in run.asked or self._local.key != key:
            run = _Run(Stack(_resources(args), partial=key is not None))
            self._local.run, self._local.key = run, key
        run.asked.add(policy)
        return run

    def report(self, policy: str, finding: Finding, message: str, report_violation: ReportViolation) -> None:
        """Report a finding, once only: what was refused early is found again over the whole stack."""
        key = (policy, finding.origin.urn, message)
        if key not in self._reported:
            self._reported.add(key)
            report_violation(message, finding.origin.urn)


def _resources(args: _Args) -> Iterator[Resource]:
    given = [args] if isinstance(args, ResourceValidationArgs) else args.resources
    for one in given:
        found = resource(one.resource_type, one.urn, one.props)
        if found is not None:
            yield found


def _is_elsewhere(args: _Args) -> bool:
    return isinstance(args, ResourceValidationArgs) and not args.resource_type.startswith(_KUBERNETES)


class _RulePolicy(StackValidationPolicy):
    """A rule that is judged over the whole stack."""

    def __init__(self, rule: Rule, runs: _Runs) -> None:
        # not super(): in the early variant that would be the initialiser of the other kind of policy
        Policy.__init__(
            self,
            rule.name,
            rule.title,
            EnforcementLevel.MANDATORY,
            _schema(rule),
            severity=Severity(rule.severity.value),
            remediation_steps=rule.fix,
            url=rule.link,
        )
        self._rule = rule
        self._runs = runs

    def validate(self, args: _Args, report_violation: ReportViolation) -> None:
        """Report what is broken and keep the rest for the policies that carry remarks."""
        if _is_elsewhere(args):
            return
        run = self._runs.current(self.name, args)
        findings = self._rule.judge(run.stack, args.get_config())
        run.findings += findings
        for finding in findings:
            if finding.verdict is Verdict.FAIL and finding.judgement.level is Level.REQUIRED:
                self._runs.report(self.name, finding, finding.message, report_violation)


class _EarlyRulePolicy(_RulePolicy, ResourceValidationPolicy):
    """A rule that can also refuse a single resource before it is created."""

    def has_validation(self) -> bool:
        """It judges."""
        return True

    def has_remediation(self) -> bool:
        """It never changes a resource."""
        return False


class _RemarkPolicy(StackValidationPolicy):
    """Carries what the rules found in this run and what doesn't refuse a deployment by itself.

    level: failures of this level, or undecided verdicts when None.
    """

    def __init__(self, name: str, description: str, runs: _Runs, level: Level | None) -> None:
        Policy.__init__(self, name, description, EnforcementLevel.ADVISORY)
        self._runs = runs
        self._level = level

    def validate(self, args: StackValidationArgs, report_violation: ReportViolation) -> None:
        """Report the remarks, each with the name of its rule."""
        for finding in self._runs.current(self.name, args).findings:
            wanted = (
                finding.verdict is Verdict.UNDECIDED
                if self._level is None
                else finding.verdict is Verdict.FAIL and finding.judgement.level is self._level
            )
            if wanted:
                message = f"[{finding.rule}] {finding.message}"
                self._runs.report(self.name, finding, message, report_violation)


def _schema(rule: Rule) -> PolicyConfigSchema | None:
    if not rule.parameters:
        return None
    return PolicyConfigSchema(
        {
            name: {
                "type": "integer",
                "minimum": parameter.minimum,
                "default": parameter.default,
                "description": parameter.description,
            }
            for name, parameter in rule.parameters.items()
        }
    )
