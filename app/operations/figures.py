"""Figures that may be unknown, and then say why."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, SupportsFloat


@dataclass(frozen=True)
class Reading:
    """A number, or the reason why there is none."""

    value: float | None = None
    reason: str | None = None

    @classmethod
    def of(cls, value: SupportsFloat | None, reason: str) -> "Reading":
        """The value, or the reason if there is none."""
        return cls(reason=reason) if value is None else cls(float(value))

    def map(self, change: Callable[[float], float]) -> "Reading":
        """The changed value, or the same reason."""
        return self if self.value is None else Reading(change(self.value))

    def per(self, other: "Reading") -> "Reading":
        """This for each one of the other; without a reason, or with zero of the other, there is none."""
        if self.value is None or other.value is None:
            return Reading(reason=self.reason or other.reason)
        return Reading(self.value / other.value) if other.value else Reading(reason="there were no requests")


@dataclass(frozen=True)
class Figure:
    """What was measured, what the plan predicts, and what was promised.

    at_measured_load: what the models predict for the load and the replicas that are there now.
    """

    unit: str
    measured: Reading
    predicted: Reading
    objective: float | None = None
    at_measured_load: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain data; what isn't known is null, with the reason."""
        return {
            "unit": self.unit,
            "measured": self.measured.value,
            "reason": self.measured.reason,
            "predicted": self.predicted.value,
            "predicted_reason": self.predicted.reason,
            "predicted_at_measured_load": self.at_measured_load,
            "objective": self.objective,
        }


Figures = Mapping[str, Figure]
