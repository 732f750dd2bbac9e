"""Service times as measured on the machine at hand, so that predictions start from what is true there.

Measured at a low load, where nothing waits: a service's own time is then the time in its worker less the
calls, a database's the time that its callers wait for it, and the entry's what the client sees beyond the
services behind it.
"""

from datetime import datetime
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from groundplan.errors import VerifyError
from groundplan.models import performance
from groundplan.spec import Call, Service, ServiceTime, System
from groundplan.verify.measure import Measurement, only_of_kind

LOW_UTILIZATION = 0.1
"""How busy the bottleneck is while service times are measured: enough requests, hardly any waiting."""

_LEAST_SECONDS = 50e-6
_MOST_PER_SECOND = 1e6


class CalibratedService(BaseModel):
    """What was measured of one service. mean: seconds. calls: calls in each request, by called service."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mean: float
    scv: float | None = None
    calls: dict[str, float] = {}


class Calibration(BaseModel):
    """Measured service times, to be laid over a spec.

    background_cpu: cores that are busy on the machine without load. overhead_cpu: CPU seconds that each
    request at the entry costs beyond the services' own times. None where the system runs on other machines.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    measured_at: datetime
    entry: str
    services: dict[str, CalibratedService]
    background_cpu: float | None = None
    overhead_cpu: float | None = None

    def apply(self, system: System) -> System:
        """The system with the measured times in place of the stated ones; services it lacks are ignored."""
        services = {
            name: _corrected(service, self.services[name]) if name in self.services else service
            for name, service in system.services.items()
        }
        platform = system.platform
        if self.background_cpu is not None:
            platform = platform.model_copy(update={"background_cpu": self.background_cpu})
        if self.overhead_cpu is not None and (time := services[self.entry].service_time):
            time = time.model_copy(update={"overhead_cpu": self.overhead_cpu})
            services[self.entry] = services[self.entry].model_copy(update={"service_time": time})
        return system.model_copy(update={"services": services, "platform": platform})


def _corrected(service: Service, measured: CalibratedService) -> Service:
    stated = service.service_time or ServiceTime(mean=measured.mean)
    changes: dict[str, object] = {"mean": measured.mean}
    if measured.scv is not None:
        changes["scv"] = measured.scv
    calls = tuple(_call(call, measured.calls.get(call.to)) for call in service.calls)
    return service.model_copy(update={"service_time": stated.model_copy(update=changes), "calls": calls})


def _call(call: Call, per_request: float | None) -> Call:
    if not per_request or not call.share:
        return call
    return call.model_copy(update={"count": per_request / call.share})


def calibrate(system: System, measurement: Measurement, background_cpu: float | None = None) -> Calibration:
    """Service times from a run at a low load. Raises VerifyError when the run can't be trusted.

    background_cpu: cores that were busy on this machine without the load, where the system runs here.
    """
    if measurement.load.problems:
        raise VerifyError(
            f"The measurement can't be trusted: {measurement.load.problems[0]}",
            fix="Let the machine come to rest and measure again.",
        )
    services: dict[str, CalibratedService] = {}
    for name, measured in measurement.services.items():
        if name == measurement.entry or name not in system.services:
            continue
        if measured.own_mean is None:  # seen by its callers alone, who see no variation
            services[name] = CalibratedService(mean=measured.mean)
            continue
        calls = {
            callee: count
            for kind, count in measured.calls.items()
            if (callee := only_of_kind(system, kind)) is not None
        }
        services[name] = CalibratedService(mean=measured.own_mean, scv=measured.own_scv, calls=calls)
    services[measurement.entry] = CalibratedService(mean=_entry_time(system, measurement))
    found = Calibration(
        measured_at=measurement.measured_at,
        entry=measurement.entry,
        services=services,
        background_cpu=background_cpu,
    )
    if background_cpu is None or measurement.machine_busy_cores is None:
        return found
    rate = measurement.load.rate_achieved_per_second
    accounted = performance.predict(found.apply(system), {measurement.entry: rate}).cpu_utilization or 0.0
    unaccounted = measurement.machine_busy_cores - accounted * (system.platform.machine_cpu or 0.0)
    return found.model_copy(update={"overhead_cpu": max(unaccounted, 0.0) / rate})


def _entry_time(system: System, measurement: Measurement) -> float:
    """What the client waits beyond the services that the entry calls."""
    behind = sum(
        call.count * call.share * measurement.services[call.to].mean
        for call in system.services[measurement.entry].calls
        if call.waits and call.to in measurement.services
    )
    return max(measurement.services[measurement.entry].mean - behind, _LEAST_SECONDS)


def rate_at(system: System, entry: str, utilization: float) -> float:
    """Requests per second from outside at which the bottleneck is this busy with them, from 0 to 1.

    The bottleneck is the busiest service, or the CPU below all, as far as work in the background leaves it.
    Raises VerifyError when nothing in the system limits it.
    """
    background = performance.predict(system, {entry: 0.0}).cpu_utilization or 0.0

    def is_reached(rate: float) -> bool:
        predicted = performance.predict(system, {entry: rate})
        known = [item.utilization for item in predicted.services.values() if item.utilization is not None]
        if predicted.cpu_utilization is not None:
            free = max(1 - background, 1e-9)
            known.append((predicted.cpu_utilization - background) / free)
        return max(known, default=0.0) >= utilization

    low, high = 0.0, 1.0
    while not is_reached(high):
        low, high = high, 2 * high
        if high > _MOST_PER_SECOND:
            raise VerifyError("Nothing limits the system", entry, fix="State service times in the spec.")
    while high - low > 1e-3 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if is_reached(middle) else (middle, high)
    return high


def save(calibration: Calibration, path: Path) -> None:
    """Write the calibration as YAML."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(calibration.model_dump(mode="json", exclude_none=True), sort_keys=False)
    path.write_text(
        f"# Measured on this machine; laid over the spec by groundplan.\n{text}", encoding="utf-8"
    )


def load(path: Path) -> Calibration | None:
    """The calibration that was saved; None when there is none. Raises VerifyError for a damaged file."""
    if not path.exists():
        return None
    try:
        return Calibration.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValidationError) as error:
        raise VerifyError(
            "The measured service times can't be read", str(path), fix="Remove the file and measure again."
        ) from error
