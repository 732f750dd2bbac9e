"""Rule spread."""

from collections.abc import Iterator

from groundplan.policy.registry import Context, Rule, Subject
from groundplan.policy.selectors import selects
from groundplan.policy.stack import Scale
from groundplan.policy.tree import Node, Undecided
from groundplan.policy.verdicts import Judgement, Severity, fails
from groundplan.policy.workloads import REPLICATED_KINDS, Workload

_HOST = "kubernetes.io/hostname"
_DOMAINS = frozenset({_HOST, "topology.kubernetes.io/zone"})


def check(workload: Workload, context: Context) -> Iterator[Judgement]:
    """Replicas are kept apart by a topology spread constraint or by anti-affinity to their own labels."""
    if workload.kind not in REPLICATED_KINDS:
        return
    scale = context.stack.scale_of(workload)
    if scale.most < 2:
        return
    availability = workload.promised_availability
    if not _is_spread(workload):
        because = f" though it promises availability {availability:g}" if availability is not None else ""
        yield fails(
            f"nothing keeps its replicas on different nodes{because}",
            required=availability is not None,
            field=workload.pod.at("topologySpreadConstraints"),
            bound=f"a constraint over {' or '.join(sorted(_DOMAINS))} that selects its own pods",
        )
    yield from _unplaceable(workload, scale, context)


def _is_spread(workload: Workload) -> bool:
    undecided: Undecided | None = None
    for parent in _terms(workload):
        try:
            if parent.text("topologyKey") in _DOMAINS and _selects_itself(parent, workload):
                return True
        except Undecided as reason:
            undecided = undecided or reason
    if undecided is not None:
        raise undecided
    return False


def _terms(workload: Workload) -> list[Node]:
    anti = _anti_affinity(workload)
    return [
        *workload.pod.nodes("topologySpreadConstraints"),
        *anti.nodes("requiredDuringSchedulingIgnoredDuringExecution"),
        *(
            term.node("podAffinityTerm")
            for term in anti.nodes("preferredDuringSchedulingIgnoredDuringExecution")
        ),
    ]


def _anti_affinity(workload: Workload) -> Node:
    return workload.pod.node("affinity", "podAntiAffinity")


def _selects_itself(term: Node, workload: Workload) -> bool:
    namespaces = term.texts("namespaces")
    if namespaces and workload.resource.namespace not in namespaces:
        return False
    return selects(term, "labelSelector", workload.labels)


def _unplaceable(workload: Workload, scale: Scale, context: Context) -> Iterator[Judgement]:
    """Anti-affinity that leaves no node for some replicas."""
    exclusive = any(
        term.text("topologyKey") == _HOST and _selects_itself(term, workload)
        for term in _anti_affinity(workload).nodes("requiredDuringSchedulingIgnoredDuringExecution")
    )
    system = next((system for system in context.stack.systems if workload in system.members), None)
    if not exclusive or system is None:
        return
    nodes = system.nodes
    if nodes is not None and scale.most > nodes:
        yield fails(
            "wants every replica on a node of its own, but there are fewer nodes than replicas",
            field=workload.pod.at("affinity") + ".podAntiAffinity",
            value=f"required for {scale.most} replicas",
            bound=f"at most {nodes} replicas",
            fix="Use a topology spread constraint, or preferred anti-affinity.",
        )


RULE = Rule(
    name="spread",
    title="Replicas are kept on different nodes",
    severity=Severity.MEDIUM,
    subject=Subject.WORKLOAD,
    why=(
        "Replicas on one node fail together, so predicted availability holds only when they are spread. A "
        "topology spread constraint and pod anti-affinity both do; a soft one counts, a selector that "
        "doesn't match the pods themselves doesn't. Single replicas, DaemonSets and jobs need none. "
        "Required where an availability SLO is stated."
    ),
    fix=(
        "Add topologySpreadConstraints with topologyKey: kubernetes.io/hostname and a labelSelector that "
        "matches the pod's own labels."
    ),
    link="https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/",
    check=check,
    early=True,
)
