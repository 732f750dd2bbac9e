"""The report as plain data: what was promised, predicted and measured, and what it costs.

Rendering is elsewhere: `terminal` for the command line, `page` for a stand-alone HTML page.
"""

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from groundplan.errors import VerifyError

Verdict = Literal["holds", "broken", "undecided"]
Metric = Literal["mean", "p50", "p95", "p99", "throughput", "availability", "cost"]

TOLERANCE = {"mean": 0.10, "p95": 0.15}
"""Largest relative error of a prediction that still counts as right; other metrics are shown, not judged."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PromiseLine(_Model):
    """One promise. Times in seconds, throughput in requests per second, availability from 0 to 1, cost in the
    currency of the report. measured: None where a short run can't tell, such as for availability."""

    service: str
    metric: str
    bound: float
    predicted: float | None
    measured: float | None = None
    verdict: Verdict
    reason: str = ""


class Compared(_Model):
    """One figure as predicted and as measured; None is unknown."""

    predicted: float | None = None
    measured: float | None = None

    @property
    def error(self) -> float | None:
        """Relative error of the prediction."""
        if self.predicted is None or not self.measured:
            return None
        return self.predicted / self.measured - 1


class ServiceLine(_Model):
    """One service. Times in seconds; availability alone and with everything that it requires.

    unmeasured: why there are no measured figures, where there are none.
    """

    name: str
    kind: str
    replicas: int | None
    utilization: float | None
    throughput_per_second: Compared
    mean: Compared
    p50: Compared
    p95: Compared
    p99: Compared
    availability: float | None
    path_availability: float | None
    cost_per_month: Decimal | None
    unmeasured: str = ""

    def judged(self, metric: Literal["mean", "p95"]) -> bool | None:
        """Whether the prediction was within tolerance; None when there is nothing to compare."""
        compared: Compared = getattr(self, metric)
        return None if compared.error is None else abs(compared.error) <= TOLERANCE[metric]


class Money(_Model):
    """Cost and benefit, each month, in one currency. payback_months: None when it never pays back."""

    currency: str
    cost_per_month: Decimal
    budget_per_month: Decimal | None = None
    benefit_per_month: Decimal | None = None
    idle_per_month: Decimal | None = None
    roi: float | None = None
    payback_months: float | None = None


class CurvePoint(_Model):
    """Response times at one load. Rates per second, times in seconds."""

    rate_per_second: float
    mean: float
    p95: float


class Curve(_Model):
    """Response time of the entry against load: where it stands and where it would break."""

    service: str
    predicted: tuple[CurvePoint, ...]
    measured: tuple[CurvePoint, ...] = ()
    slo_p95: float | None = None
    stated_rate_per_second: float
    capacity_per_second: float | None = None


class LoadLine(_Model):
    """How the load was made. problems: why its result can't be trusted, if so."""

    rate_offered_per_second: float
    rate_achieved_per_second: float
    requests: int
    duration_seconds: float
    error_ratio: float
    errors: dict[str, int]
    generator_cpu_share: float
    problems: tuple[str, ...] = ()


class StepLine(_Model):
    """One step of the way here and how long it took."""

    title: str
    seconds: float


class Report(_Model):
    """Everything that a reader wants to know about one deployment."""

    system: str
    stack: str
    cluster: str
    created_at: datetime
    measured_at: datetime | None
    addresses: dict[str, str]
    promises: tuple[PromiseLine, ...]
    services: tuple[ServiceLine, ...]
    money: Money | None
    load: LoadLine | None
    curve: Curve | None = None
    steps: tuple[StepLine, ...] = ()
    notes: tuple[str, ...] = ()

    def count(self, verdict: Verdict) -> int:
        """How many promises have this verdict."""
        return sum(promise.verdict == verdict for promise in self.promises)

    @property
    def headline(self) -> str:
        """The outcome in one sentence."""
        broken, undecided, all_of_them = self.count("broken"), self.count("undecided"), len(self.promises)
        if not all_of_them:
            return "No promises are stated"
        if broken:
            return f"{broken} of {all_of_them} promises {'is' if broken == 1 else 'are'} broken"
        if undecided:
            verb = "is" if undecided == 1 else "are"
            return f"No promise is broken; {undecided} of {all_of_them} {verb} undecided"
        return f"All {all_of_them} promises hold"


def save(report: Report, path: Path) -> None:
    """Write the report as JSON, to be shown again later."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(report.model_dump_json(indent=2), encoding="utf-8")


def load(path: Path) -> Report:
    """A report that was written before. Raises VerifyError when there is none or it can't be read."""
    try:
        return Report.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise VerifyError(
            "There is no report yet", str(path), fix="Run groundplan up, which measures and reports."
        ) from error
    except ValueError as error:
        raise VerifyError(
            "The report was written by another version", str(path), fix="Run groundplan measure."
        ) from error
