"""Rule autoscaler."""

from collections.abc import Iterator

from groundplan.policy.registry import Context, Rule, Subject, each
from groundplan.policy.resources import Resource
from groundplan.policy.verdicts import Judgement, Severity, fails
from groundplan.policy.workloads import REPLICATED_KINDS, Container, Workload


def check(workload: Workload, context: Context) -> Iterator[Judgement]:
    """One autoscaler, with room to scale, a metric that it can read, and no stated count that fights it."""
    if workload.kind not in REPLICATED_KINDS:
        return
    autoscalers = context.stack.autoscalers_of(workload)
    promised = workload.is_promised
    if len(autoscalers) > 1:
        yield fails(
            "is scaled by several autoscalers, which undo each other's work",
            required=promised,
            value=", ".join(autoscaler.title for autoscaler in autoscalers),
            bound="one",
            fix="Remove all but one; one autoscaler can follow several metrics.",
        )
    for autoscaler in autoscalers[:1]:
        yield from _judge(workload, autoscaler, promised)


def _judge(workload: Workload, autoscaler: Resource, promised: bool) -> Iterator[Judgement]:
    stated = workload.resource.spec.whole("replicas")
    if stated is not None:
        yield fails(
            f"states a number of replicas although {autoscaler.title} scales it, "
            "so every deployment puts the number back",
            required=False,
            field="spec.replicas",
            value=stated,
            bound="left out",
            fix="Leave out spec.replicas.",
        )
    fewest, most = autoscaler.spec.whole("minReplicas") or 1, autoscaler.spec.whole("maxReplicas")
    if most is not None and most < fewest:
        yield fails(
            "its autoscaler has a maximum below its minimum, which the API server refuses",
            field=f"spec.maxReplicas of {autoscaler.title}",
            value=most,
            bound=f"at least {fewest}",
        )
    if _follows_cpu(autoscaler):

        def has_request(container: Container) -> Iterator[Judgement]:
            if container.runs_along and container.request("cpu") is None:
                yield fails(
                    "its autoscaler follows CPU utilization, a share of a request that container "
                    f"{container.name} doesn't have, so it never scales",
                    required=promised,
                    field=f"{container.node.path}.resources.requests.cpu",
                    bound="set",
                )

        yield from each(workload.containers("init", "container"), has_request)


def _follows_cpu(autoscaler: Resource) -> bool:
    metrics = autoscaler.spec.nodes("metrics")
    if not metrics:
        return True  # Kubernetes then follows CPU utilization at 80 %
    return any(
        metric.text("type") == "Resource"
        and metric.node("resource").text("name") == "cpu"
        and metric.node("resource", "target").has("averageUtilization")
        for metric in metrics
    )


RULE = Rule(
    name="autoscaler",
    title="An autoscaler can do its work",
    severity=Severity.MEDIUM,
    subject=Subject.WORKLOAD,
    why=(
        "An autoscaler that has no request to divide by never scales, two of them fight, and a stated "
        "number of replicas throws its decision away at every deployment. Each leaves the service too "
        "small when load comes."
    ),
    fix="Give every container a CPU request, and let one autoscaler alone decide the number of replicas.",
    link="https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/",
    check=check,
)
