"""Rule pod-security-admission."""

from collections.abc import Iterator

from groundplan.policy.registry import Context, Rule, Subject
from groundplan.policy.rules._pod_security import BASELINE, RESTRICTED, violations
from groundplan.policy.verdicts import Judgement, Severity, fails
from groundplan.policy.workloads import Workload

_LABEL = "pod-security.kubernetes.io/enforce"
_CONTROLS = {"privileged": (), "baseline": BASELINE, "restricted": RESTRICTED}


def check(workload: Workload, context: Context) -> Iterator[Judgement]:
    """The controls of the level that the workload's namespace enforces."""
    namespace = context.stack.namespace_of(workload.resource)
    if namespace is None:
        return
    labels = namespace.metadata.node("labels")
    level = labels.text(_LABEL)
    if level is None:
        return
    if level not in _CONTROLS:
        yield fails(
            (
                "its namespace enforces a level that doesn't exist, which then counts as restricted "
                f"({namespace.title})"
            ),
            field=labels.at(_LABEL),
            value=level,
            bound="privileged, baseline or restricted",
        )
    yield from violations(workload, _CONTROLS.get(level, RESTRICTED), required=True)


RULE = Rule(
    name="pod-security-admission",
    title="A namespace admits the pods that are to run in it",
    severity=Severity.CRITICAL,
    subject=Subject.WORKLOAD,
    why=(
        "A namespace with label pod-security.kubernetes.io/enforce refuses pods that break its level. The "
        "Deployment is created all the same and then never gets a pod, so the mistake shows only as a "
        "time-out."
    ),
    fix="Make the pods keep to the level of their namespace, or move them to a namespace with another level.",
    link="https://kubernetes.io/docs/concepts/security/pod-security-admission/",
    check=check,
)
