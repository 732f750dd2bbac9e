"""Promises that the models judge, as judgements of a rule."""

from collections.abc import Iterator

from groundplan.policy.promises import StatedSystem
from groundplan.policy.verdicts import Judgement, fails, holds, undecided


def judged(stated: StatedSystem, *metrics: str) -> Iterator[Judgement]:
    """A judgement for every promise of the system about one of these metrics."""
    for promise in stated.evaluation.promises:
        if promise.metric not in metrics:
            continue
        about = stated.resource if promise.service is None else stated.resource_of(promise.service)
        match promise.verdict:
            case "holds":
                yield holds(promise.reason, about)
            case "broken":
                yield fails(promise.reason, about=about)
            case "undecided":
                yield undecided(promise.reason, about)
