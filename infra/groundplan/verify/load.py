"""Open-loop Poisson load against this machine's own addresses, sent by a process of its own.

Open loop: requests start when a random clock says so, whether or not earlier ones were answered, and
latency counts from that intended moment. A generator that waits for answers, or spaces its requests
evenly, hides the queue it should show (coordinated omission).
"""

import contextlib
import ipaddress
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from groundplan.errors import VerifyError
from groundplan.progress import QUIET, Progress

MAX_REQUESTS = 200_000
MAX_DURATION_SECONDS = 900.0


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


class Preparation(_Model):
    """A request that is made before the load starts, to make something that one request of the load needs.

    capture: names for fields of the JSON answer; `{name}` in later paths and bodies becomes the value.
    """

    method: Method = "POST"
    path: str = Field(pattern="^/")
    body: JsonValue = None
    capture: dict[str, str] = {}


class Request(_Model):
    """One kind of request in the mix.

    label: name in the results. share: weight within the mix, any positive number.
    body: sent as JSON where given. prepare: done anew for each request of this kind; it isn't measured.
    """

    label: str
    method: Method = "GET"
    path: str = Field(default="/", pattern="^/")
    share: float = Field(default=1.0, gt=0)
    headers: dict[str, str] = {}
    body: JsonValue = None
    prepare: tuple[Preparation, ...] = ()


class LoadPlan(_Model):
    """What to send, how fast and for how long.

    The run ends after `duration_seconds` or `max_requests`, whichever comes first, plus at most
    `timeout_seconds` for the answers under way. Requests of the first `warmup_seconds` are sent but not
    counted. `networks` are the private networks beyond loopback that may be addressed, such as the
    cluster's own.
    """

    base_url: str
    requests: tuple[Request, ...] = Field(min_length=1)
    rate_per_second: float = Field(gt=0)
    duration_seconds: float = Field(gt=0, le=MAX_DURATION_SECONDS)
    warmup_seconds: float = Field(default=0.0, ge=0)
    max_requests: int = Field(default=MAX_REQUESTS, gt=0, le=MAX_REQUESTS)
    timeout_seconds: float = Field(default=10.0, gt=0, le=120)
    seed: int = 1
    networks: tuple[str, ...] = ()
    host_header: str | None = None

    @model_validator(mode="after")
    def _labels_differ(self) -> "LoadPlan":
        labels = [request.label for request in self.requests]
        if len(set(labels)) != len(labels):
            raise ValueError("each request of the mix needs a label of its own")
        if self.warmup_seconds >= self.duration_seconds:
            raise ValueError("warmup_seconds must be shorter than duration_seconds")
        return self


class Latency(_Model):
    """Response times in seconds, from the intended moment of sending to the last byte of the answer."""

    count: int
    mean: float
    p50: float
    p95: float
    p99: float
    maximum: float


class LoadResult(_Model):
    """What came back.

    mean_half_width_seconds: half the 95 % confidence interval of the mean, from batch means, so that the
        correlation between neighbours in a queue is counted; None with too few answers.
    lateness: how long after the intended moment requests really started.
    generator_cpu_share: cores used by the generator.
    problems: why the result can't be trusted; empty for a valid result.
    """

    rate_offered_per_second: float
    rate_achieved_per_second: float
    requests: int
    duration_seconds: float
    latency: Latency | None
    mean_half_width_seconds: float | None
    by_request: dict[str, Latency]
    errors: dict[str, int]
    error_ratio: float
    generator_cpu_share: float
    lateness_mean_seconds: float
    lateness_p99_seconds: float
    problems: tuple[str, ...]

    @property
    def valid(self) -> bool:
        """Whether the generator kept to its own schedule, so that the latencies are the target's."""
        return not self.problems


class Line(_Model):
    """One line from the generator's process: how far it is, or its result."""

    sent: int = 0
    planned: int = 0
    result: LoadResult | None = None


def check_target(plan: LoadPlan) -> None:
    """Refuse a target outside loopback and the plan's own private networks.

    Raises VerifyError, also where the host name has no address.
    """
    host = urlsplit(plan.base_url).hostname
    if not host:
        raise VerifyError("The load's target is no address", "base_url", plan.base_url, "http://HOST[:PORT]")
    networks = [_private_network(text) for text in plan.networks]
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise VerifyError(
            "The load's target has no address", "base_url", host, fix="Use the address of the deployed entry."
        ) from error
    for *_, sockaddr in found:
        address = ipaddress.ip_address(sockaddr[0])
        if not address.is_loopback and not any(address in network for network in networks):
            raise VerifyError(
                "Load is only sent to this machine or its own cluster",
                "base_url",
                str(address),
                "a loopback address or one in " + (", ".join(plan.networks) or "the cluster's networks"),
                "Deploy to the embedded cluster, or name the cluster's private network.",
            )


def _private_network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise VerifyError("Not a network", "networks", text, "such as 10.42.0.0/16") from error
    if not network.is_private:
        raise VerifyError("Load is never sent to public addresses", "networks", text, "a private network")
    return network


def run(plan: LoadPlan, progress: Progress = QUIET) -> LoadResult:
    """Send the load and return what was measured; takes the plan's duration and at most one time-out more.

    Raises VerifyError for a target that is not this machine's own and when the generator fails.
    """
    check_target(plan)
    host = urlsplit(plan.base_url).netloc
    with progress.step(f"Load on {host}: {plan.rate_per_second:.3g} requests/s, Poisson") as step:

        def show(line: Line) -> None:
            step.update(f"{line.sent} of {line.planned} requests sent", line.sent / max(line.planned, 1))

        return _run_generator(plan, show)


def _run_generator(plan: LoadPlan, show: Callable[[Line], None]) -> LoadResult:
    command = [sys.executable, "-m", f"{__package__}.generator"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    try:
        with contextlib.suppress(BrokenPipeError):  # its exit code and stderr tell more
            process.stdin.write(plan.model_dump_json())
            process.stdin.close()
        result = None
        for text in process.stdout:
            line = Line.model_validate_json(text)
            result = line.result
            if result is None:
                show(line)
        said = process.stderr.read()
        code = process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    if code != 0 or result is None:
        raise VerifyError(
            f"The load generator ended with code {code}: {_last_line(said)}",
            f"process {PurePosixPath(command[0]).name} {' '.join(command[1:])}",
        )
    return result


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1]
