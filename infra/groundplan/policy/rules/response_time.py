"""Rule response-time."""

from collections.abc import Iterator

from groundplan.policy.promises import StatedSystem
from groundplan.policy.registry import Context, Rule, Subject
from groundplan.policy.rules._predictions import judged
from groundplan.policy.verdicts import Judgement, Severity


def check(stated: StatedSystem, _context: Context) -> Iterator[Judgement]:
    """Predicted mean and percentiles of the response time of each service against its SLO."""
    yield from judged(stated, "mean", "p50", "p95", "p99")


RULE = Rule(
    name="response-time",
    title="Every service is predicted to answer as fast as promised",
    severity=Severity.CRITICAL,
    subject=Subject.SYSTEM,
    why=(
        "Response time grows without bound as utilization nears 1, and a caller waits for all that it "
        "calls. The prediction is made from the load, the service times and calls that are stated, and "
        "the replicas and CPU that are about to be deployed."
    ),
    fix=("Add replicas or CPU to the busiest service on the path, call it less often, or promise more time."),
    link="https://sre.google/sre-book/service-level-objectives/",
    check=check,
)
