"""What the plan of this deployment predicts: the spec's system, evaluated once by groundplan's models."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from groundplan.errors import GroundplanError
from groundplan.models.plan import Evaluation, evaluate
from groundplan.spec import System, load_system


@dataclass(frozen=True)
class Plan:
    """The system as it was promised, and what the models say about it."""

    system: System
    evaluation: Evaluation

    def promised(self, metric: str) -> float | None:
        """The web service's promise of this metric, or that of the nearest service in front of it."""
        for name in self._front():
            slo = self.system.services[name].slo
            bound: float | None = getattr(slo, metric) if slo else None
            if bound is not None:
                return bound
        return None

    def as_measured(self, web_rate: float | None, replicas: Mapping[str, int]) -> System:
        """The system with the load scaled to this rate of the web service, and with the replicas that run."""
        planned = self.evaluation.performance.services[settings.PLAN_WEB_SERVICE].arrival_rate
        factor = web_rate / planned if web_rate is not None and planned > 0 else 1.0
        services = {}
        for name, service in self.system.services.items():
            changed: dict[str, object] = {}
            if service.load:
                rate = service.load.arrival_rate * factor
                changed["load"] = service.load.model_copy(update={"arrival_rate": rate, "peak": None})
            if name in replicas:
                changed |= {"replicas": replicas[name], "autoscaling": None}
            services[name] = service.model_copy(update=changed)
        return self.system.model_copy(update={"services": services})

    def _front(self) -> Iterator[str]:
        """The web service, then those that wait for it, nearest first."""
        names = [settings.PLAN_WEB_SERVICE]
        for name in names:
            yield name
            names += [
                caller
                for caller, service in self.system.services.items()
                if caller not in names and any(call.to == name and call.waits for call in service.calls)
            ]


@cache
def current() -> Plan | None:
    """The plan that PLAN_FILE names, if it names one; raises ImproperlyConfigured when it can't be used."""
    if not settings.PLAN_FILE:
        return None
    try:
        system = load_system(settings.PLAN_FILE)
        evaluation = evaluate(system)
    except GroundplanError as error:
        raise ImproperlyConfigured(f"environment variable PLAN_FILE: {error}") from error
    for variable in ("PLAN_WEB_SERVICE", "PLAN_WORKER_SERVICE"):
        name = getattr(settings, variable)
        if name not in system.services:
            raise ImproperlyConfigured(
                f"environment variable {variable} is {name!r}, "
                f"must be one of {', '.join(sorted(system.services))}"
            )
    return Plan(system, evaluation)
