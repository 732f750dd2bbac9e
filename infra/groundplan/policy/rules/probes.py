"""Rule probes."""

from collections.abc import Iterator

from groundplan.policy.registry import Context, Rule, Subject, each
from groundplan.policy.tree import Node
from groundplan.policy.verdicts import Judgement, Severity, fails
from groundplan.policy.workloads import LASTING_KINDS, Container, Workload

_ACTIONS = ("httpGet", "tcpSocket", "exec", "grpc")
# fields that the API server fills in (Kubernetes API, Probe)
_DEFAULTS = {"periodSeconds": 10, "timeoutSeconds": 1, "successThreshold": 1, "failureThreshold": 3}


def check(workload: Workload, _context: Context) -> Iterator[Judgement]:
    """Readiness and liveness of containers that serve a port, liveness of workers."""
    if workload.kind not in LASTING_KINDS:
        return
    containers = workload.containers("container")
    promise = workload.promise
    required = promise is not None and promise.slo is not None
    serving = [container for container in containers if container.node.nodes("ports")]
    wanted: tuple[str, ...] = ("readinessProbe", "livenessProbe")
    if not serving and promise is not None and promise.kind == "worker":
        serving, wanted = containers[:1], ("livenessProbe",)

    def missing(container: Container) -> Iterator[Judgement]:
        for name in wanted:
            if not container.node.has(name):
                covered = any(other.node.has(name) for other in serving if other is not container)
                yield fails(
                    f"container {container.name} has no {name}",
                    required=required and not covered,
                    field=container.node.at(name),
                    bound="set",
                )

    yield from each(serving, missing)
    yield from each(containers, lambda container: _wrong(container, required))


def _wrong(container: Container, required: bool) -> Iterator[Judgement]:
    """Probes that can't work, or that restart a container because it is busy."""
    for name in ("readinessProbe", "livenessProbe", "startupProbe"):
        if not container.node.has(name):
            continue
        probe = container.node.node(name)
        if not any(probe.has(action) for action in _ACTIONS):
            yield fails(
                f"{name} of container {container.name} does nothing",
                required=required,
                field=probe.path,
                bound=f"given one of {', '.join(_ACTIONS)}",
            )
        yield from _dangling_port(container, probe, required)
    if container.node.has("readinessProbe") and container.node.has("livenessProbe"):
        readiness, liveness = container.node.node("readinessProbe"), container.node.node("livenessProbe")
        if _settings(readiness) == _settings(liveness):
            yield fails(
                f"container {container.name} is restarted by the same probe that takes it out of service, "
                "so a busy replica is killed instead of spared",
                required=False,
                field=liveness.path,
                bound="more patient than readinessProbe, or a cheaper check",
                fix=(
                    "Raise failureThreshold of the livenessProbe, or let it ask only whether the process "
                    "is alive."
                ),
            )


def _dangling_port(container: Container, probe: Node, required: bool) -> Iterator[Judgement]:
    for action in ("httpGet", "tcpSocket"):
        target = probe.node(action)
        port = target.raw("port")
        if isinstance(port, str) and not port.isdigit():
            names = [name for known in container.node.nodes("ports") if (name := known.text("name"))]
            if port not in names:
                yield fails(
                    f"a probe of container {container.name} asks a port that the container doesn't have",
                    required=required,
                    field=target.at("port"),
                    value=port,
                    bound=f"one of its named ports ({', '.join(names) or 'none'})",
                )


def _settings(probe: Node) -> dict[str, object]:
    """All fields with defaults filled in; raises Undecided when one is unknown."""
    return _DEFAULTS | {name: _known(probe, name) for name in probe.names()}


def _known(node: Node, name: str) -> object:
    value = node.raw(name)
    if isinstance(value, dict):
        inner = node.node(name)
        return {key: _known(inner, key) for key in inner.names()}
    return value


RULE = Rule(
    name="probes",
    title="Containers that serve say when they are ready and when they are stuck",
    severity=Severity.HIGH,
    subject=Subject.WORKLOAD,
    why=(
        "Without a readinessProbe requests go to replicas that can't answer yet; without a livenessProbe "
        "a stuck process stays. Both count as downtime. Containers that serve no port need none, except "
        "workers, which can get stuck too. Required where an SLO is stated."
    ),
    fix="Add the probe, with a path or command that answers from the process itself.",
    link="https://kubernetes.io/docs/concepts/workloads/pods/probes/",
    check=check,
    early=True,
)
