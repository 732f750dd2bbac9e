"""A deployed system under load: what each service did, in its own words, beside what was predicted."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

import numpy as np
import psutil
from pydantic import BaseModel, ConfigDict

from groundplan.errors import VerifyError
from groundplan.progress import QUIET, Progress
from groundplan.spec import Kind, System
from groundplan.verify import load
from groundplan.verify.load import LoadPlan, LoadResult
from groundplan.verify.scrape import Samples, Snapshot, since

WARMUP_SECONDS = 5.0
_SETTLE_SECONDS = 1.0  # asynchronous work of the last requests


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MeasuredService(_Model):
    """What one service did. Times in seconds; None is not measured.

    own_mean, own_scv: time of a request without waiting and without calls, and its squared coefficient of
    variation. calls: how often a request called each kind of other service.
    """

    count: int
    throughput_per_second: float
    mean: float
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    own_mean: float | None = None
    own_scv: float | None = None
    calls: dict[str, float] = {}


class Measurement(_Model):
    """One run: the load, and what each service that can tell did meanwhile.

    machine_busy_cores: cores of this machine that were busy with everything on it, if the system runs here.
    """

    measured_at: datetime
    entry: str
    load: LoadResult
    services: dict[str, MeasuredService]
    machine_busy_cores: float | None = None


@dataclass(frozen=True)
class Instrument:
    """Names of the metrics of one kind of work: requests or tasks."""

    response: str
    own: str
    calls: str
    call_seconds: str


INSTRUMENTS = (
    Instrument(
        "http_response_time_seconds",
        "http_request_own_seconds",
        "http_request_calls_total",
        "http_request_call_seconds_total",
    ),
    Instrument(
        "celery_task_response_time_seconds",
        "celery_task_own_seconds",
        "celery_task_calls_total",
        "celery_task_call_seconds_total",
    ),
)


class BusyCores:
    """Counts the cores of this machine that are busy while the context is open.

    What the hypervisor takes away counts as busy: it isn't there for the system either.
    """

    cores: float = 0.0

    def __enter__(self) -> Self:
        self._began, self._before = time.monotonic(), psutil.cpu_times()
        return self

    def __exit__(self, *_failure: object) -> None:
        after, elapsed = psutil.cpu_times(), time.monotonic() - self._began
        idle = after.idle - self._before.idle + after.iowait - self._before.iowait
        self.cores = max((psutil.cpu_count() or 1) - idle / elapsed, 0.0)


def measure(
    system: System,
    entry: str,
    plan: LoadPlan,
    snapshot: Callable[[], Snapshot],
    progress: Progress = QUIET,
) -> Measurement:
    """Warm up, then send the load and compare what the services say before and after it.

    Raises VerifyError when a target isn't allowed, pods change, or nothing is answered.
    """
    warmup = plan.model_copy(
        update={"duration_seconds": WARMUP_SECONDS, "warmup_seconds": 0.0, "seed": plan.seed + 1}
    )
    load.run(warmup, progress)
    before = snapshot()
    with BusyCores() as busy:
        result = load.run(plan, progress)
    time.sleep(_SETTLE_SECONDS)
    elapsed = result.duration_seconds
    rises = since(before, snapshot())
    if result.latency is None:
        kinds = ", ".join(f"{count} times {kind}" for kind, count in result.errors.items())
        raise VerifyError(
            f"No request was answered: {kinds}", plan.base_url, fix="See groundplan status for what is wrong."
        )
    services = {
        name: found
        for name, rise in rises.items()
        for instrument in INSTRUMENTS
        if (found := _service(rise, instrument, elapsed))
    }
    services |= _seen_by_callers(system, rises, elapsed)
    services[entry] = MeasuredService(
        count=result.latency.count,
        throughput_per_second=result.rate_achieved_per_second,
        mean=result.latency.mean,
        p50=result.latency.p50,
        p95=result.latency.p95,
        p99=result.latency.p99,
    )
    here = system.platform.machine_cpu is not None
    return Measurement(
        measured_at=datetime.now(UTC),
        entry=entry,
        load=result,
        services=services,
        machine_busy_cores=busy.cores if here else None,
    )


def percentile(cumulative: Mapping[float, float], share: float) -> float:
    """A percentile from a histogram's cumulative buckets (upper bound: count), linear within a bucket.

    What lies beyond the last finite bound counts as that bound.
    """
    bounds = sorted(cumulative)
    counts = [cumulative[bound] for bound in bounds]
    finite = [bound for bound in bounds if math.isfinite(bound)]
    return float(np.interp(share * counts[-1], [0.0, *counts[: len(finite)]], [0.0, *finite]))


def _sum(rise: Samples, name: str) -> float:
    return sum(value for (found, _), value in rise.items() if found == name)


def _by_label(rise: Samples, name: str, label: str) -> dict[str, float]:
    sums: dict[str, float] = {}
    for (found, labels), value in rise.items():
        if found == name:
            key = dict(labels)[label]
            sums[key] = sums.get(key, 0.0) + value
    return sums


def _service(rise: Samples, instrument: Instrument, elapsed_seconds: float) -> MeasuredService | None:
    count = _sum(rise, f"{instrument.response}_count")
    if count < 1:
        return None
    buckets = {
        float(bound): value for bound, value in _by_label(rise, f"{instrument.response}_bucket", "le").items()
    }
    own_mean = _sum(rise, f"{instrument.own}_total") / count
    own_square = _sum(rise, f"{instrument.own}_squared_total") / count
    return MeasuredService(
        count=round(count),
        throughput_per_second=count / elapsed_seconds,
        mean=_sum(rise, f"{instrument.response}_sum") / count,
        p50=percentile(buckets, 0.5),
        p95=percentile(buckets, 0.95),
        p99=percentile(buckets, 0.99),
        own_mean=own_mean or None,
        own_scv=max(own_square / own_mean**2 - 1, 0.0) if own_mean else None,
        calls={kind: calls / count for kind, calls in _by_label(rise, instrument.calls, "kind").items()},
    )


def _seen_by_callers(
    system: System, rises: Mapping[str, Samples], elapsed_seconds: float
) -> dict[str, MeasuredService]:
    """Services that tell nothing themselves, as their callers saw them, where only one is of its kind."""
    calls: dict[str, float] = {}
    seconds: dict[str, float] = {}
    for rise in rises.values():
        for instrument in INSTRUMENTS:
            for sums, metric in ((calls, instrument.calls), (seconds, instrument.call_seconds)):
                for kind, value in _by_label(rise, metric, "kind").items():
                    sums[kind] = sums.get(kind, 0.0) + value
    found = {}
    for kind, count in calls.items():
        name = only_of_kind(system, kind)
        if name is not None and count > 0:
            found[name] = MeasuredService(
                count=round(count),
                throughput_per_second=count / elapsed_seconds,
                mean=seconds[kind] / count,
            )
    return found


def only_of_kind(system: System, kind: Kind | str) -> str | None:
    """Name of the only service of this kind; None when there are none or several."""
    names = [name for name, service in system.services.items() if service.kind == kind]
    return names[0] if len(names) == 1 else None
