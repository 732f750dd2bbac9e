"""Rule promise."""

from collections.abc import Iterator

from groundplan.errors import SpecError
from groundplan.policy.promises import StatedSystem
from groundplan.policy.registry import Context, Rule, Subject, each
from groundplan.policy.verdicts import Judgement, Severity, fails
from groundplan.policy.workloads import Workload


def check(stated: StatedSystem, context: Context) -> Iterator[Judgement]:
    """Each annotation can be read, and together they make a system."""
    unreadable: list[Workload] = []

    def readable(member: Workload) -> Iterator[Judgement]:
        try:
            _ = member.stated_promise
        except SpecError as error:
            unreadable.append(member)
            yield fails(
                _text(error), value=error.value, bound=error.bound, fix=error.fix, about=member.resource
            )

    yield from each(stated.members, readable)
    if unreadable or context.stack.partial:
        return  # the system as a whole would repeat the first of them, or miss what isn't seen yet
    try:
        _ = stated.as_stated
    except SpecError as error:
        yield fails(_text(error), value=error.value, bound=error.bound, fix=error.fix)


def _text(error: SpecError) -> str:
    others = "".join(f"; also {note}" for note in getattr(error, "__notes__", ()))
    return f"{error.what}, in {error.where}{others}" if error.where else f"{error.what}{others}"


RULE = Rule(
    name="promise",
    title="What services promise can be read and fits together",
    severity=Severity.HIGH,
    subject=Subject.SYSTEM,
    why=(
        "Services state in annotations what they promise, how long a request takes and whom they call. An "
        "annotation with a wrong field, or a call to a service that isn't there, would leave every "
        "promise unjudged."
    ),
    fix="Correct the annotation; docs/spec.md lists its fields.",
    link="https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/",
    check=check,
    early=True,
)
