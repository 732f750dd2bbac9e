"""What a rule says of a subject."""

from dataclasses import dataclass
from enum import StrEnum

from groundplan.policy.resources import Origin, Resource
from groundplan.policy.tree import Undecided


class Verdict(StrEnum):
    """The three answers."""

    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"
    UNDECIDED = "undecided"


class Level(StrEnum):
    """What a failure means: something stated can't be kept (required), or it is merely unwise (advice)."""

    REQUIRED = "required"
    ADVICE = "advice"


class Severity(StrEnum):
    """How bad it is for those who use the system when the rule is broken."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True)
class Judgement:
    """One answer of a rule about the subject that it was given.

    what: the reason, without the subject's name. field: path of the field that it is about. value: that
    field's value as text, never a secret. bound: what it must satisfy. fix: what to do here, where that
    says more than the rule's own advice. about: the resource that it is about, where that isn't the subject
    itself.
    """

    verdict: Verdict
    what: str
    level: Level = Level.REQUIRED
    field: str | None = None
    value: str | None = None
    bound: str | None = None
    fix: str | None = None
    about: Resource | None = None


@dataclass(frozen=True)
class Finding:
    """A judgement together with the rule that made it and the resource that it is about."""

    rule: str
    subject: str
    origin: Origin
    judgement: Judgement
    fix: str

    @property
    def verdict(self) -> Verdict:
        """pass, fail or undecided."""
        return self.judgement.verdict

    @property
    def message(self) -> str:
        """Subject, what, where, value, bound and fix in one or two sentences."""
        judgement = self.judgement
        text = f"{self.subject}: {judgement.what}"
        if judgement.field:
            text += f" ({judgement.field}"
            text += f" is {judgement.value})" if judgement.value is not None else ")"
        elif judgement.value is not None:
            text += f", it is {judgement.value}"
        if judgement.bound:
            text += f", must be {judgement.bound}"
        if judgement.verdict is Verdict.FAIL:
            text += f". Fix: {self.fix}"
        return text


def fails(
    what: str,
    *,
    required: bool = True,
    field: str | None = None,
    value: object = None,
    bound: str | None = None,
    fix: str | None = None,
    about: Resource | None = None,
) -> Judgement:
    """The rule is broken. required: whether something that was stated depends on it."""
    level = Level.REQUIRED if required else Level.ADVICE
    shown = None if value is None else str(value)
    return Judgement(Verdict.FAIL, what, level, field, shown, bound, fix, about)


def holds(what: str, about: Resource | None = None) -> Judgement:
    """The rule is kept, for a reason worth telling."""
    return Judgement(Verdict.PASS, what, about=about)


def undecided(reason: Undecided | str, about: Resource | None = None) -> Judgement:
    """The rule can't be judged."""
    text = reason.reason if isinstance(reason, Undecided) else reason
    return Judgement(Verdict.UNDECIDED, text, about=about)
