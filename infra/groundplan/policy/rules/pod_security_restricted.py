"""Rule pod-security-restricted."""

from collections.abc import Iterator

from groundplan.policy.registry import Context, Rule, Subject
from groundplan.policy.rules._pod_security import RESTRICTED, violations
from groundplan.policy.verdicts import Judgement, Severity
from groundplan.policy.workloads import Workload


def check(workload: Workload, _context: Context) -> Iterator[Judgement]:
    """Every control of level restricted, on the pod and on its main, init and ephemeral containers."""
    yield from violations(workload, RESTRICTED, required=workload.is_promised)


RULE = Rule(
    name="pod-security-restricted",
    title="Pods keep to Pod Security level restricted",
    severity=Severity.HIGH,
    subject=Subject.WORKLOAD,
    why=(
        "A process that runs as root, keeps capabilities or reaches into its node turns a flaw in one "
        "service into one of the whole cluster. Level restricted of the Pod Security Standards closes the "
        "known ways. It is required of workloads that state a promise and advice for others, such as node "
        "agents that can't keep it."
    ),
    fix=(
        "Set runAsNonRoot: true and seccompProfile: {type: RuntimeDefault} for the pod, "
        "allowPrivilegeEscalation: false and capabilities: {drop: [ALL]} for every container."
    ),
    link="https://kubernetes.io/docs/concepts/security/pod-security-standards/",
    check=check,
    early=True,
)
