"""What every component can be told about its promise and its behaviour, and how that reaches Kubernetes.

The fields are those of `groundplan.spec.Service`. They are plain values, not outputs: the gate judges them at
preview, before anything is created.
"""

import json
from collections.abc import Mapping
from enum import Enum
from typing import Any, NotRequired, Required, TypedDict, TypeVar, cast

import pulumi

from groundplan.errors import SpecError
from groundplan.spec import (
    SERVICE_ANNOTATION,
    SERVICE_NAME_ANNOTATION,
    Kind,
    Service,
    service_from_annotation,
    service_to_annotation,
)

A = TypeVar("A", bound=Mapping[str, Any])

SINGLE_REPLICA_ANNOTATION = "groundplan.dev/single-replica"
"""Why one replica is accepted; written where a component has no second one to fail over to."""


class Dispatch(Enum):
    """How requests get to the replicas of a service."""

    POOLED = "pooled"
    """One queue for all replicas."""
    RANDOM = "random"
    """Each request picks a replica blindly, as a Kubernetes Service does."""
    LEAST_CONNECTIONS = "least-connections"
    """The replica with the fewest requests."""


class CallMode(Enum):
    """How a call is made while a request is served."""

    SEQUENTIAL = "sequential"
    """One after the other; the caller waits."""
    PARALLEL = "parallel"
    """Together with the other parallel calls; the caller waits for the last."""
    ASYNC = "async"
    """The caller doesn't wait."""


class Slo(TypedDict, total=False):
    """What a service promises. Times include waiting and the calls that the service waits for."""

    mean: str
    """Mean response time, such as 120ms."""
    p50: str
    """Response time that half of the requests stay within, such as 100ms."""
    p95: str
    """Response time that 95 % of the requests stay within, such as 300ms."""
    p99: str
    """Response time that 99 % of the requests stay within, such as 900ms."""
    availability: float
    """Share of the time that the service answers, with all that it requires: 0.999 is 99.9 %."""
    throughput: float
    """Requests per second that the service can carry without overload."""


class Load(TypedDict):
    """Requests that arrive from outside the system."""

    arrival_rate: float
    """Expected requests per second."""
    peak: NotRequired[float]
    """Highest requests per second to plan for."""


class ServiceTime(TypedDict):
    """The time that one request occupies a replica by itself, without the calls that it waits for."""

    mean: str
    """Mean time of one request, such as 40ms."""
    scv: NotRequired[float]
    """Squared coefficient of variation: 0 constant, 1 exponential, above 1 a mix of short and long.
    Default 1."""
    cpu_share: NotRequired[float]
    """Share of the time that needs a CPU core, 0 to 1. Default 1."""


class Call(TypedDict):
    """Requests that a service sends to another one while it serves a request."""

    to: str
    """Name of the called service."""
    count: NotRequired[float]
    """Calls in each request that calls at all. Default 1."""
    share: NotRequired[float]
    """Share of the requests that make these calls, 0 to 1. Default 1."""
    mode: NotRequired[CallMode]
    """How the call is made. Default sequential."""
    required: NotRequired[bool]
    """Whether a request fails when the called service is down. Default true."""


class Failure(TypedDict, total=False):
    """How often one replica fails and how long it stays down, where the default doesn't fit."""

    mtbf: str
    """Mean up time between two failures, such as 30d."""
    mttr: str
    """Mean time to repair, such as 30s."""
    beta: float
    """Share of the failures that take down all replicas together, 0 to 1."""


class Autoscaling(TypedDict):
    """A horizontal autoscaler on CPU use."""

    min: int
    """Fewest replicas."""
    max: int
    """Most replicas."""
    target_cpu_utilization: NotRequired[float]
    """CPU use, as a share of the CPU request, that the autoscaler steers towards. Default 0.6."""


class SizeArgs(TypedDict, total=False):
    """How much one replica gets."""

    cpu: str
    """CPU request of one replica, such as 100m. The default is on the component's page."""
    cpu_limit: str
    """CPU limit of one replica. Unset: none, because a limit throttles a replica while its node idles."""
    memory: str
    """Memory request of one replica, such as 128Mi. The default is on the component's page."""
    memory_limit: str
    """Memory limit of one replica. Unset: the request, so that a node never promises more than it has."""


class PodArgs(SizeArgs, total=False):
    """Arguments of every component that runs pods."""

    namespace: Required[pulumi.Input[str]]
    """Namespace that the component lives in, such as an Environment's `namespace`."""
    image: Required[pulumi.Input[str]]
    """Image reference, best with a digest, such as a ContainerImage's `ref`."""
    connects_to: list[str]
    """Names of components in the same namespace that it may connect to, beside those it is known to call."""
    overrides: dict[str, Any]
    """Fields of children by child name, merged into what the component makes (strategic merge: mappings are
    merged, lists of named objects by name, null removes). Use it for what no argument covers; it is warned
    about, because nothing checks that the promise still holds."""


class PromiseArgs(TypedDict, total=False):
    """What a service promises and how it behaves, for the predictions and the gate."""

    slo: Slo
    """What the service promises. Unset: nothing, and nothing is judged or alerted."""
    load: Load
    """Requests that arrive from outside the system. Unset: only other services call it."""
    service_time: ServiceTime
    """Time that one request takes by itself. Unset: unknown, and predictions that need it are undecided."""
    calls: list[Call]
    """Calls to other services while a request is served. The network lets the component reach them."""
    concurrency: int
    """Requests that one replica serves at once. Default 1."""
    dispatch: Dispatch
    """How requests get to the replicas. Default random, as a Kubernetes Service does."""
    failure: Failure
    """Failures of one replica, where the default doesn't fit."""


class ReplicaArgs(TypedDict, total=False):
    """How many replicas there are, where they can be counted freely."""

    replicas: int
    """Number of replicas. Default 2. Not together with `autoscaling`."""
    autoscaling: Autoscaling
    """Replicas that follow the load; `replicas` is then left to the autoscaler."""
    accept_single_replica: str
    """Why one replica is enough. Without it, one replica is an error, because each node drain would stop the
    service."""


class ServerArgs(TypedDict, total=False):
    """Who may use a service."""

    allow_from: list[str]
    """Names of the components in the same namespace that may connect. Unset: none."""


_SPEC_FIELDS = (
    "replicas", "autoscaling", "concurrency", "dispatch", "cpu", "cpu_limit", "memory", "storage",
    "service_time", "load", "calls", "slo", "failure",
)  # fmt: skip


def known(value: Any, where: str, field: str) -> Any:
    """The value without enums, as JSON has it. Raises SpecError when it isn't known before the deployment."""
    if isinstance(value, pulumi.Output):
        raise SpecError(
            f"{field} is an output",
            where=where,
            bound="a plain value, known at preview",
            fix="State it in the program or read it from the stack's configuration.",
        )
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {key: known(item, where, f"{field}.{key}") for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [known(item, where, f"{field}[{index}]") for index, item in enumerate(value)]
    return value


def read_service(kind: Kind, where: str, args: Mapping[str, Any]) -> Service:
    """The promise in a component's arguments. Raises SpecError, which names field, value and bound."""
    fields = {
        field: known(args[field], where, field) for field in _SPEC_FIELDS if args.get(field) is not None
    }
    return service_from_annotation(json.dumps({"kind": kind, **fields}), where)


def annotations(name: str, service: Service) -> dict[str, str]:
    """The annotations by which a workload carries its promise."""
    return {SERVICE_NAME_ANNOTATION: name, SERVICE_ANNOTATION: service_to_annotation(service)}


_PROMISE_FIELDS = frozenset(PromiseArgs.__annotations__)
_REPLICA_FIELDS = frozenset({"replicas", "autoscaling"})


def stated(service: Service, args: A, *, replicas: bool = False) -> A:
    """A component's arguments, completed by what a spec says of the service; what `args` says goes first.

    replicas: take the number of replicas too, for components that can have any.
    """
    fields: dict[str, Any] = service.model_dump(
        mode="json", include=set(_PROMISE_FIELDS), exclude_defaults=True
    )
    for field in ("cpu", "cpu_limit"):
        if (cores := getattr(service, field)) is not None:
            fields[field] = f"{round(1000 * cores)}m"
    if service.memory is not None:
        fields["memory"] = str(round(service.memory))
    if replicas:
        fields |= service.model_dump(mode="json", include=set(_REPLICA_FIELDS), exclude_none=True)
    return cast(A, {**fields, **args})
