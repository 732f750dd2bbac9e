"""Rule disruption-budget."""

from collections.abc import Iterator

from groundplan.policy.quantities import scaled
from groundplan.policy.registry import Context, Rule, Subject
from groundplan.policy.resources import Resource
from groundplan.policy.stack import Scale
from groundplan.policy.verdicts import Judgement, Severity, fails
from groundplan.policy.workloads import REPLICATED_KINDS, Workload


def check(workload: Workload, context: Context) -> Iterator[Judgement]:
    """One budget for replicated pods, which lets a drain go on and never permits a full outage."""
    if workload.kind not in REPLICATED_KINDS:
        return
    promised = workload.is_promised
    availability = workload.promised_availability
    scale = context.stack.scale_of(workload)
    budgets = context.stack.budgets_of(workload)
    if len(budgets) > 1:
        yield fails(
            "is selected by several PodDisruptionBudgets, so every eviction of its pods is refused",
            required=promised,
            value=", ".join(budget.title for budget in budgets),
            bound="one",
            fix="Remove all but one, or narrow their selectors.",
        )
        return
    if not budgets:
        if scale.fewest >= 2:
            because = f" though it promises availability {availability:g}" if availability is not None else ""
            yield fails(
                f"has no PodDisruptionBudget{because}, so a drain may evict all its replicas at once",
                field=scale.source,
                value=scale.fewest,
                required=availability is not None,
            )
        return
    yield from _judge(budgets[0], scale, promised)


def _judge(budget: Resource, scale: Scale, promised: bool) -> Iterator[Judgement]:
    total = scale.fewest
    field, allowed = _allowed(budget, total)
    value = budget.spec.raw(field) if field else None
    shown = f"{field} of {budget.title}" if field else budget.title
    if isinstance(value, float):
        value = f"{value:g}"
    if allowed <= 0 < total:
        yield fails(
            f"its PodDisruptionBudget permits no eviction at {total} replicas, so no node can be drained",
            required=promised,
            field=shown,
            value=value,
            bound="such that one pod may be evicted",
        )
    elif allowed >= total > 1:
        yield fails(
            f"its PodDisruptionBudget permits the eviction of all {total} replicas at once",
            required=promised,
            field=shown,
            value=value,
            bound="such that one pod stays",
        )


def _allowed(budget: Resource, total: int) -> tuple[str | None, int]:
    """The field that decides, and how many of the pods may be evicted at once."""
    unavailable = scaled(budget.spec, "maxUnavailable", total)
    if unavailable is not None:
        return "maxUnavailable", min(unavailable, total)
    available = scaled(budget.spec, "minAvailable", total)
    if available is not None:
        return "minAvailable", total - available
    return None, 0  # without either field the disruption controller counts no pod as spare


RULE = Rule(
    name="disruption-budget",
    title="A PodDisruptionBudget protects replicas and still lets nodes be drained",
    severity=Severity.HIGH,
    subject=Subject.WORKLOAD,
    why=(
        "Without a budget, draining nodes can take down all replicas together, and the availability that "
        "was predicted for independent failures isn't reached. A budget that permits no eviction blocks "
        "every upgrade of the nodes; one that permits all of them protects nothing. It is judged at the "
        "fewest replicas that the autoscaler may leave. Required where an availability SLO is stated."
    ),
    fix="Add a PodDisruptionBudget with maxUnavailable: 1 that selects these pods and no others.",
    link="https://kubernetes.io/docs/tasks/run-application/configure-pdb/",
    check=check,
)
