"""Rule throughput."""

from collections.abc import Iterator

from groundplan.policy.promises import StatedSystem
from groundplan.policy.registry import Context, Rule, Subject
from groundplan.policy.rules._predictions import judged
from groundplan.policy.verdicts import Judgement, Severity


def check(stated: StatedSystem, _context: Context) -> Iterator[Judgement]:
    """Greatest predicted throughput of each service against its SLO."""
    yield from judged(stated, "throughput")


RULE = Rule(
    name="throughput",
    title="Every service is predicted to carry the requests that it promises",
    severity=Severity.HIGH,
    subject=Subject.SYSTEM,
    why=(
        "A service carries no more than the busiest part of its path. Beyond that the queue, and with it "
        "the response time, grows until requests fail."
    ),
    fix=("Add replicas, concurrency or CPU to the service that is the bottleneck."),
    link="https://sre.google/sre-book/handling-overload/",
    check=check,
)
