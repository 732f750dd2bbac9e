"""Rule unseen."""

from collections.abc import Iterator

from groundplan.policy.registry import Context, Rule, Subject
from groundplan.policy.stack import Stack
from groundplan.policy.verdicts import Judgement, Severity, undecided
from groundplan.policy.workloads import WORKLOAD_KINDS

_PATCH = "Patch"


def check(stack: Stack, _context: Context) -> Iterator[Judgement]:
    """Resources that hide others, or only a part of what they will be."""
    for resource in stack.resources:
        if resource.kind == "Release" and resource.group == "helm.sh":
            yield undecided(
                "what this Helm release installs isn't visible before deployment, so no rule judges it "
                "(Chart instead of Release makes it visible)",
                resource,
            )
        elif resource.kind.removesuffix(_PATCH) in WORKLOAD_KINDS and resource.kind.endswith(_PATCH):
            yield undecided(
                "this patch shows a part of a workload only, so no rule judges the whole", resource
            )


RULE = Rule(
    name="unseen",
    title="Everything that will run can be judged",
    severity=Severity.LOW,
    subject=Subject.STACK,
    why=(
        "A Helm Release installs its resources at deployment, and a patch changes one that exists "
        "already. The other rules can't see what results; this one says so instead of staying silent."
    ),
    fix="Use Chart instead of Release, and state workloads in full.",
    link="https://helm.sh/docs/intro/using_helm/",
    check=check,
)
