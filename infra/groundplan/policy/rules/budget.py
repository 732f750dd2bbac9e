"""Rule budget."""

from collections.abc import Iterator

from groundplan.policy.promises import StatedSystem
from groundplan.policy.registry import Context, Rule, Subject
from groundplan.policy.rules._predictions import judged
from groundplan.policy.verdicts import Judgement, Severity


def check(stated: StatedSystem, _context: Context) -> Iterator[Judgement]:
    """Predicted cost of a month against the budget."""
    yield from judged(stated, "budget")


RULE = Rule(
    name="budget",
    title="The system costs no more than its budget",
    severity=Severity.HIGH,
    subject=Subject.SYSTEM,
    why=(
        "What is about to be deployed is priced from its requests, replicas and storage with the price "
        "table that the system names. The bill should be refused here rather than read a month later."
    ),
    fix=("Ask for less CPU, memory or storage, lower the number of replicas, or raise the budget."),
    link="https://www.opencost.io/docs/specification",
    check=check,
)
