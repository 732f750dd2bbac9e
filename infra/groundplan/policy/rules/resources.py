"""Rule resources."""

from collections.abc import Iterator

from groundplan.policy.quantities import quantity
from groundplan.policy.registry import Context, Rule, Subject, each
from groundplan.policy.verdicts import Judgement, Severity, fails
from groundplan.policy.workloads import Container, Workload


def check(workload: Workload, _context: Context) -> Iterator[Judgement]:
    """Requests for CPU and memory and a limit on memory, for every container or for the pod as a whole."""
    promised = workload.is_promised
    pod = workload.pod.node("resources")
    whole_pod = {
        "cpu request": pod.node("requests").has("cpu") or pod.node("limits").has("cpu"),
        "memory request": pod.node("requests").has("memory") or pod.node("limits").has("memory"),
        "memory limit": pod.node("limits").has("memory"),
    }

    def judge(container: Container) -> Iterator[Judgement]:
        # a start-up step is short: what it lacks hardly changes a promise
        required = promised and container.runs_along
        amounts = {
            "cpu request": container.request("cpu"),
            "memory request": container.request("memory"),
            "memory limit": container.limit("memory"),
        }
        for name, amount in amounts.items():
            if amount is None and not whole_pod[name]:
                resource, part = name.split()
                yield fails(
                    f"container {container.name} has no {name}",
                    required=required,
                    field=f"{container.node.path}.resources.{part}s.{resource}",
                    bound="set",
                )
        yield from _above_limit(container)

    yield from each(workload.containers("init", "container"), judge)


def _above_limit(container: Container) -> Iterator[Judgement]:
    requests = container.node.node("resources", "requests")
    for name in ("cpu", "memory"):
        requested, limit = quantity(requests, name), container.limit(name)
        if requested is not None and limit is not None and requested > limit:
            yield fails(
                (
                    f"container {container.name} asks for more {name} than its limit, which the API server "
                    "refuses"
                ),
                field=requests.at(name),
                value=requests.raw(name),
                bound=f"at most {container.node.node('resources', 'limits').raw(name)}",
                fix="Lower the request or raise the limit.",
            )


RULE = Rule(
    name="resources",
    title="Containers say how much CPU and memory they need",
    severity=Severity.HIGH,
    subject=Subject.WORKLOAD,
    why=(
        "Requests are what the scheduler places, what the autoscaler divides by, what costs money and "
        "what the predictions are made from. Without a memory limit one leak evicts the neighbours. A CPU "
        "limit isn't asked for: it throttles even on an idle node. Required of workloads that state a "
        "promise."
    ),
    fix="Set resources.requests.cpu, resources.requests.memory and resources.limits.memory.",
    link="https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/",
    check=check,
    early=True,
)
