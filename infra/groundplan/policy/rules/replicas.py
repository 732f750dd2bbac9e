"""Rule replicas."""

from collections.abc import Iterator

from groundplan.policy.registry import Context, Parameter, Rule, Subject
from groundplan.policy.verdicts import Judgement, Severity, fails
from groundplan.policy.workloads import REPLICATED_KINDS, Workload

# a second replica of these needs replication of their data, so the prediction judges them and not a count
_STATEFUL = frozenset({"database", "cache", "broker"})


def check(workload: Workload, context: Context) -> Iterator[Judgement]:
    """The fewest replicas that ever run, against the least that survives the loss of one."""
    if workload.kind == "Pod":
        yield fails(
            "is a bare pod, which nothing starts again when its node fails",
            required=workload.is_promised,
            fix="Let a Deployment or StatefulSet make it.",
        )
        return
    if workload.kind not in REPLICATED_KINDS:
        return
    promise, availability = workload.promise, workload.promised_availability
    if promise is not None and (availability is None or promise.kind in _STATEFUL):
        return
    scale = context.stack.scale_of(workload)
    minimum = context.parameters["minimum"]
    if scale.fewest >= minimum:
        return
    because = f" though it promises availability {availability:g}" if availability is not None else ""
    yield fails(
        f"has too few replicas to lose one{because}",
        required=availability is not None,
        field=scale.source,
        value=scale.fewest,
        bound=f"at least {minimum}",
    )


RULE = Rule(
    name="replicas",
    title="A service that promises availability runs enough replicas to lose one",
    severity=Severity.HIGH,
    subject=Subject.WORKLOAD,
    why=(
        "With one replica every rollout, drain and crash is an outage. An availability SLO asks for "
        "replicas that can be lost one at a time. Databases, caches and brokers are left to the rules "
        "that predict availability, because a second replica of them doesn't help without replication. "
        "Workloads without an SLO get advice."
    ),
    fix="Raise spec.replicas, or minReplicas of the autoscaler.",
    link="https://kubernetes.io/docs/concepts/workloads/pods/disruptions/",
    check=check,
    early=True,
    parameters={"minimum": Parameter(default=2, minimum=1, description="Least number of replicas.")},
)
