"""Rule availability."""

from collections.abc import Iterator

from groundplan.policy.promises import StatedSystem
from groundplan.policy.registry import Context, Rule, Subject
from groundplan.policy.rules._predictions import judged
from groundplan.policy.verdicts import Judgement, Severity


def check(stated: StatedSystem, _context: Context) -> Iterator[Judgement]:
    """Predicted availability of each path against its SLO."""
    yield from judged(stated, "availability")


RULE = Rule(
    name="availability",
    title="Every path is predicted to be as available as promised",
    severity=Severity.CRITICAL,
    subject=Subject.SYSTEM,
    why=(
        "Availability of a service is that of all that it waits for, together: replicas, nodes and zones "
        "that fail at once, volumes that stay with their node, and the time that Kubernetes takes to "
        "notice. The prediction is made from the replicas, storage and platform that are about to be "
        "deployed."
    ),
    fix=(
        "Add replicas, nodes or zones to what is named, make a call optional or asynchronous, or promise "
        "less."
    ),
    link="https://sre.google/sre-book/availability-table/",
    check=check,
)
