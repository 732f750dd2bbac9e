"""A place's measurements and reports: where they are kept, made and shown."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from groundplan.cli.place import Place
from groundplan.errors import DeployError
from groundplan.progress import Progress
from groundplan.spec import System, load_system
from groundplan.verify import build, calibrate, page, report, terminal
from groundplan.verify.measure import BusyCores, Measurement, measure
from groundplan.verify.profile import LoadProfile, load_profile
from groundplan.verify.report import Report, StepLine
from groundplan.verify.scrape import PodMetrics

_MEASUREMENTS = TypeAdapter(list[Measurement])

VALIDATED_UTILIZATIONS = (0.3, 0.5, 0.7)
"""Busy shares of the bottleneck at which predictions are compared with what is measured."""

IDLE_SECONDS = 10.0
"""How long the machine is watched without load."""


@dataclass(frozen=True)
class Endpoints:
    """Where a deployed stack answers, and where its pods are."""

    addresses: dict[str, str]
    namespaces: tuple[str, ...]
    networks: tuple[str, ...]


class Results:
    """What is known about one deployed stack."""

    def __init__(self, place: Place) -> None:
        """Raises SpecError or VerifyError when the spec or the load profile can't be read."""
        from groundplan.deploy.settings import spec_file

        spec = spec_file(place.project, place.stack)
        self._place = place
        self.stated: System = load_system(spec)
        self.profile: LoadProfile = load_profile(spec.with_suffix(".load.yaml"))
        self._folder = place.reports

    @property
    def page(self) -> Path:
        """The report as HTML."""
        return self._folder / "report.html"

    @property
    def file(self) -> Path:
        """The report as JSON."""
        return self._folder / "report.json"

    def forget(self) -> None:
        """Drop what was measured: the deployment isn't what it was."""
        for name in ("measurements.json", "calibration.yaml"):
            (self._folder / name).unlink(missing_ok=True)

    def system(self) -> System:
        """The spec, with the service times that were measured here, if they were."""
        known = calibrate.load(self._folder / "calibration.yaml")
        return known.apply(self.stated) if known else self.stated

    def measurements(self) -> list[Measurement]:
        """What was measured of this deployment, the latest last."""
        file = self._folder / "measurements.json"
        if not file.exists():
            return []
        return _MEASUREMENTS.validate_json(file.read_bytes())

    def stated_rate(self) -> float:
        """Requests per second that the spec expects at the entry."""
        load = self.stated.services[self.profile.entry].load
        if load is None:
            raise DeployError(
                "The entry has no load",
                f"services.{self.profile.entry}.load",
                fix="State its arrival_rate in the spec, or give --rate.",
            )
        return load.arrival_rate

    def run(
        self, endpoints: Endpoints, rate_per_second: float, duration_seconds: float, progress: Progress
    ) -> Measurement:
        """Measure once and keep it."""
        found = self._measure(endpoints, rate_per_second, duration_seconds, progress)
        self._keep([found])
        return found

    def calibrate(
        self, endpoints: Endpoints, duration_seconds: float, progress: Progress
    ) -> list[Measurement]:
        """Measure service times at a middling load, then compare predictions at several utilizations."""
        entry = self.profile.entry
        background = self._background(progress) if self.stated.platform.machine_cpu else None
        rate = calibrate.rate_at(self.system(), entry, calibrate.UTILIZATION)
        found = self._measure(endpoints, rate, duration_seconds, progress)
        calibrate.save(calibrate.calibrate(self.stated, found, background), self._folder / "calibration.yaml")
        system = self.system()
        runs = [
            self._measure(endpoints, calibrate.rate_at(system, entry, share), duration_seconds, progress)
            for share in VALIDATED_UTILIZATIONS
        ]
        self._keep(runs)
        return runs

    def _background(self, progress: Progress) -> float:
        """Cores that are busy on this machine without load."""
        with progress.step(f"Background: {IDLE_SECONDS:.0f} s without load"), BusyCores() as busy:
            time.sleep(IDLE_SECONDS)
        return busy.cores

    def _measure(
        self, endpoints: Endpoints, rate_per_second: float, duration_seconds: float, progress: Progress
    ) -> Measurement:
        address = endpoints.addresses.get(self.profile.output)
        if address is None:
            raise DeployError(
                "The stack doesn't tell its address",
                f"output {self.profile.output}",
                fix="Export it from the program, or name another output in the load profile.",
            )
        plan = self.profile.plan(address, rate_per_second, duration_seconds, endpoints.networks)
        pods = PodMetrics(self._place.kubeconfig, self._place.context, endpoints.namespaces)
        return measure(self.stated, self.profile.entry, plan, pods.snapshot, progress)

    def _keep(self, found: Sequence[Measurement]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "measurements.json").write_bytes(_MEASUREMENTS.dump_json(list(found), indent=1))

    def write_report(
        self,
        endpoints: Endpoints,
        steps: Sequence[tuple[str, float]] = (),
        notes: Sequence[str] = (),
        target: Path | None = None,
    ) -> Report:
        """Build the report and write it as JSON and HTML; target: a further place for the HTML."""
        known = calibrate.load(self._folder / "calibration.yaml")
        all_notes = list(notes)
        if known:
            all_notes.append(
                f"Predictions start from service times measured here, {known.measured_at:%Y-%m-%d %H:%M} UTC."
            )
        made = build.build(
            self.system(),
            stack=self._place.stack,
            cluster=self._place.title,
            entry=self.profile.entry,
            addresses=endpoints.addresses,
            measurements=self.measurements(),
            steps=[StepLine(title=title, seconds=seconds) for title, seconds in steps],
            notes=all_notes,
        )
        report.save(made, self.file)
        for path in {self.page, target or self.page}:
            page.write(made, path)
        return made

    def show(self, made: Report, target: Path | None = None) -> None:
        """Print the report and say where the page is."""
        from groundplan.cli.console import err, out

        terminal.show(made, out)
        err.print(f"The same as a page: {target or self.page}", highlight=False, soft_wrap=True)


def endpoints_of(place: Place, outputs: Mapping[str, Any], networks: Sequence[str] = ()) -> Endpoints:
    """Where the stack answers, from its outputs.

    Outputs that are web addresses count as they are; a `nodePort` is reached at the embedded cluster's first
    node. `namespace` names where the pods are.
    """
    addresses = {
        name: value
        for name, value in outputs.items()
        if isinstance(value, str) and value.startswith(("http://", "https://"))
    }
    known = list(networks)
    if place.embedded:
        from groundplan.cluster.embedded import require

        found = require(place.cluster)
        known += [str(found.addresses.node_network), str(found.addresses.service_network)]
        if port := outputs.get("nodePort"):
            node = found.addresses.worker(found.state.workers[0])
            addresses["address"] = f"http://{node}:{int(port)}"
    namespace = outputs.get("namespace")
    return Endpoints(addresses, (namespace,) if isinstance(namespace, str) else (), tuple(known))
