"""Service times as measured on the machine at hand, so that predictions start from what is true there."""

from datetime import datetime
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from groundplan.errors import VerifyError
from groundplan.models import performance
from groundplan.spec import Call, Service, ServiceTime, System
from groundplan.verify.measure import MeasuredService, Measurement, only_of_kind

UTILIZATION = 0.5
"""How busy the bottleneck is while service times are measured: as in use, and far from an overload."""

_ROUNDS = 30
"""Rounds of scaling; each brings a time an order of magnitude closer."""

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
    """Service times with which the models predict what this run measured.

    The part of a measured response that is a service's own contains waiting and the sharing of the CPU, so
    the time at full speed is found by inversion: times are scaled until prediction and measurement agree.

    background_cpu: cores that were busy on this machine without the load, where the system runs here.
    Raises VerifyError when the run can't be trusted or was an overload.
    """
    if measurement.load.problems:
        raise VerifyError(
            f"The measurement can't be trusted: {measurement.load.problems[0]}",
            fix="Let the machine come to rest and measure again.",
        )
    own = {name: _own_part(system, measurement, name) for name in measurement.services}
    found = Calibration(
        measured_at=measurement.measured_at,
        entry=measurement.entry,
        services={
            name: _first_guess(system, measurement, name, mean)
            for name, mean in own.items()
            if name in system.services
        },
        background_cpu=background_cpu,
    )
    for _ in range(_ROUNDS):
        found = _with_overhead(found, system, measurement)
        found = _scaled(found, system, measurement, own)
    return found


def _own_part(system: System, measurement: Measurement, name: str) -> float:
    """Mean of a measured response without those of the services that it waits for."""
    calls = _counted_calls(system, measurement, name)
    behind = sum(count * measurement.services[callee].mean for callee, count in calls.items())
    return max(measurement.services[name].mean - behind, _LEAST_SECONDS)


def _counted_calls(system: System, measurement: Measurement, name: str) -> dict[str, float]:
    """Calls that a request waits for, as counted where the service counts them, else as stated."""
    counted = measurement.services[name].calls
    found = {}
    for call in system.services[name].calls if name in system.services else ():
        if call.waits and call.to in measurement.services:
            known = counted.get(system.services[call.to].kind)
            found[call.to] = call.count * call.share if known is None else known
    return found


def _first_guess(system: System, measurement: Measurement, name: str, own_part: float) -> CalibratedService:
    measured = measurement.services[name]
    calls = {
        callee: count
        for kind, count in measured.calls.items()
        if (callee := only_of_kind(system, kind)) is not None
    }
    if measured.own_mean is None or measured.own_scv is None:  # callers see no variation
        return CalibratedService(mean=own_part, calls=calls)
    return CalibratedService(mean=measured.own_mean, scv=measured.own_scv, calls=calls)


def _variation(measured: MeasuredService, mean: float) -> float | None:
    """Squared coefficient of variation; what is beyond the program's own time, such as accepting a request,
    hardly varies."""
    if measured.own_mean is None or measured.own_scv is None:
        return None
    return measured.own_scv * min(measured.own_mean / mean, 1.0) ** 2


def _with_overhead(found: Calibration, system: System, measurement: Measurement) -> Calibration:
    """Charge each request with the CPU that was busy beyond what the services' own times explain."""
    cores = system.platform.machine_cpu
    if found.background_cpu is None or measurement.machine_busy_cores is None or cores is None:
        return found
    rate = measurement.load.rate_achieved_per_second
    plain = found.model_copy(update={"overhead_cpu": 0.0}).apply(system)
    explained = performance.predict(plain, {found.entry: rate}).cpu_utilization or 0.0
    unexplained = measurement.machine_busy_cores - explained * cores
    return found.model_copy(update={"overhead_cpu": max(unexplained, 0.0) / rate})


def _scaled(
    found: Calibration, system: System, measurement: Measurement, own: dict[str, float]
) -> Calibration:
    """Scale each time by how far its own part of the prediction is off."""
    predicted = performance.predict(
        found.apply(system), {found.entry: measurement.load.rate_achieved_per_second}
    ).services
    services = dict(found.services)
    for name, service in found.services.items():
        mean = predicted[name].mean
        calls = _counted_calls(system, measurement, name)
        behind = [(count, predicted[callee].mean) for callee, count in calls.items()]
        if mean is None or any(below is None for _, below in behind):
            raise VerifyError(
                "The run was an overload by the models' account, from which nothing can be learnt",
                name,
                fix="Measure at a lower rate, or state shorter service times in the spec.",
            )
        part = mean - sum(count * (below or 0.0) for count, below in behind)
        ratio = own[name] / max(part, _LEAST_SECONDS)
        scaled = max(service.mean * ratio, _LEAST_SECONDS)
        services[name] = service.model_copy(
            update={"mean": scaled, "scv": _variation(measurement.services[name], scaled)}
        )
    return found.model_copy(update={"services": services})


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
