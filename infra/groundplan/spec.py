"""The spec: what a system must promise, and what is known about its parts.

A spec is a YAML file (`load_system`) or the same content in annotations of Kubernetes resources
(`service_from_annotation`, `system_from_annotation`). Both become one frozen `System`. Whatever can't be read
raises `SpecError`, which names file, line, field, value and bound.

Unknown is a value of its own: an optional field that is left out is `None`, and a promise that depends on it
is undecided, never silently held or broken.
"""

import difflib
import itertools
import json
import math
import re
from collections.abc import Callable, Hashable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from groundplan.errors import SpecError

SERVICE_ANNOTATION = "groundplan.dev/service"
SERVICE_NAME_ANNOTATION = "groundplan.dev/service-name"
SYSTEM_ANNOTATION = "groundplan.dev/system"

READ_FROM_THE_RESOURCE = frozenset({"replicas", "autoscaling", "cpu", "cpu_limit", "memory"})
"""Fields that a service annotation leaves out: the workload and its autoscaler state them."""

Kind = Literal["service", "worker", "cache", "broker", "database", "load-balancer", "external"]
Dispatch = Literal["pooled", "random", "least-connections"]
CallMode = Literal["sequential", "parallel", "async"]

_DURATION_UNITS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?|\.\d+)(?P<unit>us|µs|ms|s|m|h|d)")
_QUANTITY_UNITS = {
    "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60,
}  # fmt: skip
_QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)(?P<unit>[EPTGMK]i|[numkMGTPE]|)"
)
_SERVICE_NAME = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"


def parse_duration(value: object) -> float:
    """Seconds of `300ms`, `1.5s`, `2m`, `1m30s`, `1h`, `7d`, or of a plain number (already seconds)."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        text = value.strip()
        parts = list(_DURATION.finditer(text))
        if parts and "".join(part.group() for part in parts) == text:
            return sum(float(part["number"]) * _DURATION_UNITS[part["unit"]] for part in parts)
        try:
            return float(text)
        except ValueError:
            pass
    raise PydanticCustomError(
        "duration", "is not a duration", {"bound": "seconds or a text such as 300ms, 1.5s, 2m, 1h, 30d"}
    )


def parse_quantity(value: object) -> float:
    """Plain number of a Kubernetes quantity: cores of `100m`, bytes of `64Mi`."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and (match := _QUANTITY.fullmatch(value.strip())):
        return float(match["number"]) * _QUANTITY_UNITS[match["unit"]]
    raise PydanticCustomError(
        "quantity", "is not a Kubernetes quantity", {"bound": "a number or a text such as 100m, 2, 64Mi, 4Gi"}
    )


def _not_a_truth_value(value: object) -> object:
    # YAML's `yes` would otherwise pass as the number 1
    if isinstance(value, bool):
        raise PydanticCustomError("not_a_number", "is a truth value", {"bound": "a number"})
    return value


_DURATION_SCHEMA = WithJsonSchema(
    {
        "anyOf": [
            {"type": "number", "minimum": 0},
            {"type": "string", "pattern": r"^([0-9.]+(us|µs|ms|s|m|h|d)?)+$"},
        ]
    }
)
_QUANTITY_SCHEMA = WithJsonSchema(
    {
        "anyOf": [
            {"type": "number", "minimum": 0},
            {"type": "string", "pattern": r"^[0-9.]+([eE][0-9]+)?([EPTGMK]i|[numkMGTPE])?$"},
        ]
    }
)
_no_truth_value = BeforeValidator(_not_a_truth_value)
Duration = Annotated[
    float, Field(ge=0, allow_inf_nan=False), BeforeValidator(parse_duration), _DURATION_SCHEMA
]
PositiveDuration = Annotated[
    float, Field(gt=0, allow_inf_nan=False), BeforeValidator(parse_duration), _DURATION_SCHEMA
]
Quantity = Annotated[
    float, Field(gt=0, allow_inf_nan=False), BeforeValidator(parse_quantity), _QUANTITY_SCHEMA
]
Number = Annotated[float, Field(ge=0, allow_inf_nan=False), _no_truth_value]
PositiveNumber = Annotated[float, Field(gt=0, allow_inf_nan=False), _no_truth_value]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), _no_truth_value]
Count = Annotated[int, Field(ge=0, le=1_000_000), _no_truth_value]
PositiveCount = Annotated[int, Field(ge=1, le=1_000_000), _no_truth_value]
Amount = Annotated[
    Decimal,
    Field(ge=0, allow_inf_nan=False),
    _no_truth_value,
    PlainSerializer(str, return_type=str, when_used="json"),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}]}),
]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
ServiceName = Annotated[str, Field(pattern=_SERVICE_NAME)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MoneyPerMonth(_Model):
    """An amount of money for each month of 730 hours."""

    amount_per_month: Amount = Field(description="Amount per month, in the currency.")
    currency: Currency = Field(description="Currency, three capital letters (ISO 4217).")


class Money(_Model):
    """An amount of money that is spent once."""

    amount: Amount = Field(description="Amount, in the currency.")
    currency: Currency = Field(description="Currency, three capital letters (ISO 4217).")


class Failure(_Model):
    """How often something fails and how long it stays down, each time."""

    mtbf: PositiveDuration | None = Field(
        default=None,
        description="Mean up time between two failures. Unset: the default of models/data/failures.yaml.",
    )
    mttr: Duration | None = Field(
        default=None, description="Mean time to repair. Unset: the default of models/data/failures.yaml."
    )
    beta: Fraction | None = Field(
        default=None,
        description="Share of the failures that take down all replicas together (beta factor), 0 to 1. "
        "Unset: the default of models/data/failures.yaml.",
    )


class Platform(_Model):
    """The nodes that the services run on."""

    nodes: PositiveCount | None = Field(default=None, description="Number of worker nodes.")
    zones: PositiveCount | None = Field(
        default=None, description="Number of zones that the nodes are spread over evenly. Unset: one zone."
    )
    node_cpu: Quantity | None = Field(default=None, description="Cores of one node that pods can use.")
    node_memory: Quantity | None = Field(
        default=None, description="Memory of one node that pods can use, bytes."
    )
    machine_cpu: Quantity | None = Field(
        default=None,
        description="Cores of the one machine that all nodes share, when nodes are not machines of their own "
        "(an embedded or local cluster). Unset: nodes share nothing.",
    )
    background_cpu: Number = Field(
        default=0.0,
        description="Cores that are busy, over all nodes together, with work outside this spec "
        "(control plane, monitoring, load generator).",
    )
    node_failure: Failure | None = Field(
        default=None, description="Failures of one node, where the default doesn't fit."
    )
    zone_failure: Failure | None = Field(
        default=None, description="Failures of one zone, where the default doesn't fit."
    )
    node_detection: Duration | None = Field(
        default=None,
        description="Time until a dead node is noticed. Unset: the default of models/data/failures.yaml.",
    )
    node_toleration: Duration | None = Field(
        default=None,
        description="Time that pods stay bound to a dead node before they are replaced. "
        "Unset: the default of models/data/failures.yaml.",
    )
    pod_start: Duration | None = Field(
        default=None,
        description="Time from a pod's creation to Ready. Unset: the default of models/data/failures.yaml.",
    )

    @model_validator(mode="after")
    def _zones_have_nodes(self) -> Self:
        if self.nodes is not None and self.zones is not None and self.zones > self.nodes:
            raise _problem(("zones",), "there are more zones than nodes", self.zones, f"at most {self.nodes}")
        return self


class Autoscaling(_Model):
    """A horizontal autoscaler on CPU use."""

    min: PositiveCount = Field(description="Fewest replicas.")
    max: PositiveCount = Field(description="Most replicas.")
    target_cpu_utilization: PositiveNumber = Field(
        default=0.6, description="CPU use, as a share of the CPU request, that the autoscaler steers towards."
    )

    @model_validator(mode="after")
    def _max_is_not_below_min(self) -> Self:
        if self.max < self.min:
            raise _problem(("max",), "is below min", self.max, f"at least {self.min}")
        return self


class ServiceTime(_Model):
    """The time that one request occupies a replica by itself, at full speed and without waiting for "
    "others."""

    mean: Duration = Field(description="Mean time of one request, without the calls that it waits for.")
    scv: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False), _no_truth_value] = Field(
        default=1.0,
        description="Squared coefficient of variation of that time (variance / mean²): "
        "0 constant, 1 exponential, above 1 a mix of short and long.",
    )
    cpu_share: Fraction = Field(
        default=1.0,
        description="Share of that time that needs a CPU core; the rest waits for disks or timers.",
    )
    overhead_cpu: Duration = Field(
        default=0.0,
        description="CPU time that a request costs besides, without waiting for it: the network stack, "
        "proxies, what measures it.",
    )


class Load(_Model):
    """Requests that arrive from outside the system."""

    arrival_rate: Number = Field(description="Expected requests per second.")
    peak: Number | None = Field(default=None, description="Highest requests per second to plan for.")

    @model_validator(mode="after")
    def _peak_is_not_below_the_expected_rate(self) -> Self:
        if self.peak is not None and self.peak < self.arrival_rate:
            raise _problem(("peak",), "is below arrival_rate", self.peak, f"at least {self.arrival_rate:g}")
        return self


class Call(_Model):
    """Requests that a service sends to another one while it serves a request."""

    to: ServiceName = Field(description="Name of the called service.")
    count: PositiveNumber = Field(default=1.0, description="Calls in each request that calls at all.")
    share: Fraction = Field(default=1.0, description="Share of the requests that make these calls, 0 to 1.")
    mode: CallMode = Field(
        default="sequential",
        description="sequential: one after the other, the caller waits. parallel: together with the "
        "other parallel "
        "calls, the caller waits for the last. async: the caller doesn't wait.",
    )
    required: bool = Field(
        True,
        description="Whether a request fails when the called service is down. Async calls never fail it.",
    )

    @property
    def waits(self) -> bool:
        """Whether the caller is held up until the answer is there."""
        return self.mode != "async"


class Slo(_Model):
    """What a service promises. Times include waiting and the calls that the service waits for."""

    mean: PositiveDuration | None = Field(default=None, description="Mean response time.")
    p50: PositiveDuration | None = Field(
        default=None, description="Response time that half of the requests stay within."
    )
    p95: PositiveDuration | None = Field(
        default=None, description="Response time that 95 % of the requests stay within."
    )
    p99: PositiveDuration | None = Field(
        default=None, description="Response time that 99 % of the requests stay within."
    )
    availability: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False), _no_truth_value] | None = Field(
        default=None,
        description="Share of the time that the service answers, with all that it requires: 0.999 is 99.9 %.",
    )
    throughput: PositiveNumber | None = Field(
        default=None, description="Requests per second that the service can carry without overload."
    )

    @model_validator(mode="after")
    def _percentiles_rise(self) -> Self:
        given = [
            (name, value) for name in ("p50", "p95", "p99") if (value := getattr(self, name)) is not None
        ]
        for (lower, low), (upper, high) in itertools.pairwise(given):
            if high < low:
                raise _problem((upper,), f"is below {lower}", high, f"at least {low:g} s")
        return self


class Service(_Model):
    """One part of the system: its size, how it works, what it calls and what it promises."""

    kind: Kind = Field(
        default="service", description="What it is. external: run by someone else, without replicas or cost."
    )
    replicas: Count | None = Field(
        default=None, description="Number of replicas. Not together with autoscaling."
    )
    autoscaling: Autoscaling | None = Field(default=None, description="Replicas that follow the load.")
    concurrency: PositiveCount = Field(
        default=1,
        description="Requests that one replica serves at once, such as its worker processes, behind one "
        "queue.",
    )
    dispatch: Dispatch = Field(
        default="random",
        description="How requests reach its replicas. random: each picks a replica blindly, as a "
        "Kubernetes Service "
        "does. least-connections: the replica with the fewest requests. pooled: one queue for all replicas.",
    )
    cpu: Quantity | None = Field(default=None, description="CPU request of one replica, cores.")
    cpu_limit: Quantity | None = Field(
        default=None, description="CPU limit of one replica, cores. Unset: it may use all cores of its node."
    )
    memory: Quantity | None = Field(default=None, description="Memory request of one replica, bytes.")
    storage: Quantity | None = Field(default=None, description="Persistent storage of one replica, bytes.")
    provider_load_balancers: Count = Field(
        default=0, description="Load balancers of the cloud provider in front of it, billed by the hour."
    )
    service_time: ServiceTime | None = Field(
        default=None, description="Own time of a request. Unset: unknown."
    )
    load: Load | None = Field(
        default=None, description="Requests from outside. Unset: only other services call it."
    )
    calls: tuple[Call, ...] = Field(default=(), description="What it calls.")
    slo: Slo | None = Field(default=None, description="What it promises.")
    failure: Failure | None = Field(
        default=None, description="Failures of one replica, where the default doesn't fit."
    )

    @model_validator(mode="after")
    def _replicas_are_stated_once(self) -> Self:
        if self.replicas is not None and self.autoscaling is not None:
            raise _problem(
                ("replicas",),
                "is given together with autoscaling",
                self.replicas,
                "one of the two",
                "Leave one out.",
            )
        if self.cpu is not None and self.cpu_limit is not None and self.cpu_limit < self.cpu:
            raise _problem(
                ("cpu_limit",), "is below the request", self.cpu_limit, f"at least {self.cpu:g} cores"
            )
        return self


class System(_Model):
    """A system of services that call each other, the platform below, and the money around it."""

    name: ServiceName = Field(description="Name of the system: lower-case letters, digits and hyphens.")
    price_table: str = Field(
        default="on-premises", description="Name of a price table in models/data/prices/."
    )
    budget: MoneyPerMonth | None = Field(default=None, description="What the system may cost.")
    benefit: MoneyPerMonth | None = Field(default=None, description="What the system brings in.")
    investment: Money | None = Field(default=None, description="What it costs once, to build or introduce.")
    platform: Platform = Field(default=Platform(), description="The nodes below.")
    services: dict[ServiceName, Service] = Field(default={}, description="The services by name.")

    @model_validator(mode="after")
    def _calls_lead_somewhere(self) -> Self:
        for name, service in self.services.items():
            for index, call in enumerate(service.calls):
                if call.to not in self.services:
                    raise _problem(
                        ("services", name, "calls", index, "to"),
                        "calls a service that isn't there",
                        call.to,
                        "the name of a service",
                        _nearest(call.to, self.services),
                    )
        if cycle := _synchronous_cycle(self.services):
            first = self.services[cycle[0]]
            index = next(i for i, call in enumerate(first.calls) if call.waits and call.to == cycle[1])
            raise _problem(
                ("services", cycle[0], "calls", index, "to"),
                "services wait for each other in a circle",
                " -> ".join(cycle),
                "without a circle",
                "Make one of these calls async, or take it out.",
            )
        return self


def load_system(path: str | Path) -> System:
    """The system that a spec file describes.

    Raises SpecError when the file can't be read or says something that isn't allowed.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SpecError("the spec isn't UTF-8 text", where=str(file), fix="Save it as UTF-8.") from error
    except OSError as error:
        raise SpecError(f"the spec can't be read ({error.strerror})", where=str(file)) from error
    return parse_system(text, str(file))


def parse_system(text: str, source: str) -> System:
    """The system that a spec's text describes; `source` names it in errors.

    Raises SpecError. When several things are wrong, the first is the error and the rest are notes on it.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{source}:{mark.line + 1}" if mark else source
        raise SpecError(
            f"the spec isn't valid YAML: {error.problem or error.context}", where=where
        ) from error
    except yaml.YAMLError as error:
        raise SpecError(f"the spec isn't valid YAML: {error}", where=source) from error
    if not isinstance(root, yaml.MappingNode):
        raise SpecError(
            "the spec is empty or not a mapping", where=source, bound="a mapping of fields to values"
        )
    for path, line in _duplicate_keys(root):
        raise SpecError(f"field {path} is given twice", where=f"{source}:{line}", fix="Leave one out.")
    system = _validate(System, data, source, lambda path: _line(root, path))
    if not system.services:
        raise SpecError(
            "the spec has no services",
            where=f"{source}:{_line(root, ('services',))}",
            bound="at least one service",
        )
    return system


def build_system(data: Mapping[str, Any], source: str) -> System:
    """The system that plain data describes, such as one put together from resources. Raises SpecError."""
    return _validate(System, dict(data), source)


def service_to_annotation(service: Service) -> str:
    """The service as the text of its annotation, without what the workload itself states."""
    fields = service.model_dump(mode="json", exclude=set(READ_FROM_THE_RESOURCE), exclude_defaults=True)
    return json.dumps(fields, sort_keys=True, separators=(",", ":"))


def service_from_annotation(text: str, where: str) -> Service:
    """The service that an annotation describes; `where` names the resource in errors. Raises SpecError."""
    return _validate(Service, _json_object(text, where), where)


def system_to_annotation(system: System) -> str:
    """The system, without its services, as the text of its annotation."""
    fields = system.model_dump(mode="json", exclude={"services"}, exclude_defaults=True)
    return json.dumps(fields, sort_keys=True, separators=(",", ":"))


def system_from_annotation(text: str, where: str) -> System:
    """The system, without services, that an annotation describes. Raises SpecError."""
    return _validate(System, _json_object(text, where), where)


def json_schema() -> dict[str, Any]:
    """The JSON schema of a spec file."""
    return System.model_json_schema()


def reference_markdown() -> str:
    """The reference page of the spec, from the descriptions of its fields."""
    sections: list[tuple[type[BaseModel], str, str]] = [
        (System, "System", "The top level of the file."),
        (Platform, "platform", ""),
        (MoneyPerMonth, "budget, benefit", ""),
        (Money, "investment", ""),
        (Service, "services.<name>", ""),
        (Autoscaling, "services.<name>.autoscaling", ""),
        (ServiceTime, "services.<name>.service_time", ""),
        (Load, "services.<name>.load", ""),
        (Call, "services.<name>.calls[]", ""),
        (Slo, "services.<name>.slo", ""),
        (Failure, "services.<name>.failure, platform.node_failure, platform.zone_failure", ""),
    ]
    lines = [
        "# The spec",
        "",
        "<!-- generated by groundplan.spec.reference_markdown(); a test compares -->",
        "",
        "A spec is one YAML file that says what a system must promise and what is known about its parts.",
        "Durations are seconds or texts such as `300ms`, `1.5s`, `2m`, `1h`, `30d`.",
        "Amounts of CPU, memory and storage are Kubernetes quantities such as `100m` or `64Mi`.",
        "A field that is left out and has no default is unknown.",
        "A promise that depends on it is undecided.",
    ]
    for model, title, note in sections:
        lines += ["", f"## {title}", "", " ".join(filter(None, [(model.__doc__ or "").strip(), note])), ""]
        lines += ["| field | value | default | meaning |", "|---|---|---|---|"]
        for name, field in model.model_fields.items():
            default = "required" if field.is_required() else _default_text(field.default)
            lines.append(f"| `{name}` | {_type_text(model, name)} | {default} | {field.description} |")
    return "\n".join(lines) + "\n"


_ModelT = TypeVar("_ModelT", bound=BaseModel)
_Path = tuple[str | int, ...]


def _problem(
    path: _Path, what: str, value: object, bound: str, fix: str | None = None
) -> PydanticCustomError:
    # the path below the model that the validator runs in, which pydantic itself can't say
    context = {"path": path, "value": value, "bound": bound, "fix": fix}
    return PydanticCustomError("inconsistent", what, context)


def _synchronous_cycle(services: Mapping[str, Service]) -> list[str] | None:
    """A circle of services that wait for each other, first name repeated at the end; None without one."""
    done: set[str] = set()
    for start in services:
        path: list[str] = []
        stack: list[tuple[str, Iterator[str]]] = []

        def enter(name: str, path: list[str] = path, stack: list[tuple[str, Iterator[str]]] = stack) -> None:
            path.append(name)
            stack.append((name, iter([call.to for call in services[name].calls if call.waits])))

        if start not in done:
            enter(start)
        while stack:
            name, targets = stack[-1]
            target = next(targets, None)
            if target is None:
                done.add(name)
                path.pop()
                stack.pop()
            elif target in path:
                return [*path[path.index(target) :], target]
            elif target not in done:
                enter(target)
    return None


def _validate(
    model: type[_ModelT], data: object, source: str, line_of: Callable[[_Path], int] | None = None
) -> _ModelT:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = [
            _spec_error(model, details, source, line_of) for details in error.errors(include_url=False)
        ]
        first = problems[0]
        for other in problems[1:]:
            first.add_note(str(other))
        raise first from None


def _spec_error(
    model: type[BaseModel], details: ErrorDetails, source: str, line_of: Callable[[_Path], int] | None
) -> SpecError:
    context: dict[str, Any] = dict(details.get("ctx") or {})
    path: _Path = tuple(details["loc"]) + tuple(context.get("path", ()))
    kind = details["type"]
    value: object = context.get("value", details["input"])
    fix: str | None = context.get("fix")
    bound: str | None = context.get("bound")
    message = details["msg"]
    if kind == "extra_forbidden":
        value, message = None, "is not a field of the spec"
        fix = _nearest(str(path[-1]), _fields_at(model, path[:-1]))
    elif kind == "missing":
        value, message, bound = None, "is missing", "given"
    elif kind == "literal_error":
        message, bound = "is not one of the known values", str(context["expected"])
        options = [option.strip(" '") for part in bound.split(",") for option in part.split(" or ")]
        fix = _nearest(str(value), options)
    elif kind == "finite_number":
        message, bound = "is not a finite number", "finite"
    elif kind in _BOUNDS:
        message, bound = "is out of range", f"{_BOUNDS[kind]} {next(iter(context.values()))}"
    elif kind == "string_pattern_mismatch":
        message = "is not written as expected"
        bound = (
            "lower-case letters, digits and hyphens"
            if "a-z0-9" in context["pattern"]
            else "three capital letters"
        )
    elif bound is None:
        message, bound = "can't be read", message[0].lower() + message[1:]
    where = f"{source}:{line_of(path)}" if line_of else source
    field = _path_text(path) or "the spec"
    shown = value if isinstance(value, str | int | float | Decimal | None) else type(value).__name__
    return SpecError(f"{field} {message}", where=where, value=shown, bound=bound, fix=fix)


_BOUNDS = {
    "greater_than_equal": "at least",
    "greater_than": "greater than",
    "less_than_equal": "at most",
    "less_than": "less than",
}


def _path_text(path: _Path) -> str:
    text = ""
    for part in path:
        if part == "[key]":
            continue
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _nearest(name: str, known: Mapping[str, Any] | list[str]) -> str | None:
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"Did you mean {close[0]}?"
    return f"Known: {', '.join(sorted(names))}." if names else None


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _fields_at(model: type[BaseModel], path: _Path) -> list[str]:
    """Field names that are allowed at a path of the input."""
    current = model
    for part in path:
        field = current.model_fields.get(str(part))
        if field is not None:
            current = next(_models_in(field.annotation), current)
    return list(current.model_fields)


def _line(root: yaml.Node, path: _Path) -> int:
    """Line of the deepest part of the path that the text has."""
    node, line = root, root.start_mark.line + 1
    for part in path:
        following: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    following, line = value, key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            following = node.value[part]
            line = following.start_mark.line + 1
        if following is None:
            break
        node = following
    return line


def _duplicate_keys(root: yaml.Node) -> Iterator[tuple[str, int]]:
    # PyYAML silently keeps the last of two equal keys
    seen_nodes: set[int] = set()
    stack: list[tuple[yaml.Node, _Path]] = [(root, ())]
    while stack:
        node, path = stack.pop()
        if id(node) in seen_nodes:
            continue
        seen_nodes.add(id(node))
        if isinstance(node, yaml.MappingNode):
            keys: set[Hashable] = set()
            for key, value in node.value:
                here = (*path, str(key.value))
                if isinstance(key, yaml.ScalarNode):
                    if key.value in keys:
                        yield _path_text(here), key.start_mark.line + 1
                    keys.add(key.value)
                stack.append((value, here))
        elif isinstance(node, yaml.SequenceNode):
            stack.extend((value, (*path, index)) for index, value in enumerate(node.value))


def _json_object(text: str, where: str) -> dict[str, Any]:
    try:
        data = json.loads(text, parse_constant=lambda _: math.nan)
    except json.JSONDecodeError as error:
        raise SpecError(
            f"the annotation isn't valid JSON: {error.msg}", where=f"{where}:{error.lineno}"
        ) from error
    if not isinstance(data, dict):
        raise SpecError("the annotation isn't a JSON object", where=where, value=type(data).__name__)
    return data


def _default_text(default: object) -> str:
    if default is None or default in ((), {}) or isinstance(default, BaseModel):
        return "-"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def _type_text(model: type[BaseModel], name: str) -> str:
    schema = model.model_json_schema()["properties"][name]
    return _schema_text(schema)


def _schema_text(schema: dict[str, Any]) -> str:
    options = [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]
    if len(options) == 1 and "anyOf" in options[0]:
        options = options[0]["anyOf"]
    if any("(us|" in option.get("pattern", "") for option in options):
        return "duration"
    if any("[EPTGMK]i" in option.get("pattern", "") for option in options):
        return "quantity"
    texts = []
    for option in options:
        if "enum" in option:
            texts.append(", ".join(f"`{value}`" for value in option["enum"]))
        elif "$ref" in option:
            texts.append(option["$ref"].rsplit("/", 1)[-1])
        elif option.get("type") == "array":
            texts.append("list of " + _schema_text(option["items"]))
        elif option.get("type") == "object":
            texts.append("mapping of names to Service")
        else:
            texts.append(
                {"integer": "whole number", "boolean": "true or false"}.get(option["type"], option["type"])
            )
    return " or ".join(dict.fromkeys(texts))
