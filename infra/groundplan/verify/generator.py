"""The process that sends the load: reads a LoadPlan from stdin, writes Lines of JSON to stdout.

One thread and one event loop, so that its share of the processor stays small and can be told. Kept
apart from the caller so that neither disturbs the other's clock.
"""

import asyncio
import contextlib
import gc
import json
import math
import os
import resource
import select
import selectors
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import aiohttp
import numpy as np
import numpy.typing as npt
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped] # ships no types
from pydantic import JsonValue
from scipy.special import stdtrit

from groundplan.verify.load import (
    Latency,
    Line,
    LoadPlan,
    LoadResult,
    Preparation,
    Request,
    check_target,
)

_BATCHES = 20
_START_DELAY_SECONDS = 0.2
_MICROSECONDS = 1_000_000
_PREPARED_AT_ONCE = 4
_EARLY_SECONDS = 0.0004  # what waking up takes on a virtual machine; what is left is spent yielding
_GRACE_SECONDS = 0.001  # what waking up an idle virtual machine takes; lateness below it says nothing


def arrival_times(plan: LoadPlan) -> npt.NDArray[np.float64]:
    """Intended moments of sending, seconds from the start: a Poisson process, cut at the plan's bounds."""
    generator = np.random.default_rng(plan.seed)
    times: npt.NDArray[np.float64] = np.empty(0)
    while len(times) < plan.max_requests and (not len(times) or times[-1] < plan.duration_seconds):
        gaps = generator.exponential(1 / plan.rate_per_second, size=4096)
        times = np.concatenate([times, (times[-1] if len(times) else 0.0) + np.cumsum(gaps)])
    return times[times < plan.duration_seconds][: plan.max_requests]


def choose_requests(plan: LoadPlan, count: int) -> npt.NDArray[np.intp]:
    """For each arrival, which request of the mix it is."""
    shares = np.array([request.share for request in plan.requests])
    generator = np.random.default_rng([plan.seed, 1])  # a stream of its own: the mix doesn't move arrivals
    return generator.choice(len(shares), size=count, p=shares / shares.sum())


class _MicrosecondSelector(selectors.EpollSelector):
    """epoll waits in whole milliseconds; select() on epoll's own descriptor waits in microseconds."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout > 0:
            select.select([self.fileno()], [], [], timeout)
            timeout = 0
        return super().select(timeout)


class Recorder:
    """Collects outcomes in bounded memory; all times in seconds."""

    def __init__(self, labels: list[str], planned: int, warmup: int, timeout_seconds: float) -> None:
        """planned: how many requests will be sent, of which the first `warmup` don't count."""
        self._warmup = warmup
        self._counted = planned - warmup
        self._highest = int(4 * timeout_seconds * _MICROSECONDS)
        self._all = self._histogram()
        self._by_request = {label: self._histogram() for label in labels}
        self._lateness = self._histogram()
        self._sums: dict[str, float] = dict.fromkeys(labels, 0.0)
        self._lateness_sum = 0.0
        self._batch_sums = np.zeros(_BATCHES)
        self._batch_counts = np.zeros(_BATCHES)
        self._first_sent = math.inf
        self._last_answer = 0.0
        self._answers = 0
        self.errors: Counter[str] = Counter()

    def _histogram(self) -> HdrHistogram:
        return HdrHistogram(1, self._highest, 3)

    def _value(self, seconds: float) -> int:
        return min(max(int(seconds * _MICROSECONDS), 1), self._highest)

    def sent(self, index: int, moment: float, lateness: float) -> None:
        """A request left `lateness` seconds after its intended moment."""
        if index < self._warmup:
            return
        self._first_sent = min(self._first_sent, moment)
        self._lateness.record_value(self._value(lateness))
        self._lateness_sum += lateness

    def answered(self, index: int, label: str, moment: float, latency: float) -> None:
        """A request was answered, or given up at the time-out, which is the least it would have taken."""
        if index < self._warmup:
            return
        value = self._value(latency)
        self._all.record_value(value)
        self._by_request[label].record_value(value)
        self._sums[label] += latency
        batch = (index - self._warmup) * _BATCHES // self._counted
        self._batch_sums[batch] += latency
        self._batch_counts[batch] += 1
        self._last_answer = max(self._last_answer, moment)
        self._answers += 1

    def failed(self, index: int, kind: str) -> None:
        """A request had no good answer."""
        if index >= self._warmup:
            self.errors[kind] += 1

    def result(self, plan: LoadPlan, cpu_seconds: float, elapsed_seconds: float) -> LoadResult:
        """Everything as one result."""
        latency = self._latency(self._all, sum(self._sums.values()))
        lateness_mean = self._lateness_sum / self._counted
        lateness_p99 = self._lateness.get_value_at_percentile(99) / _MICROSECONDS
        failures = sum(self.errors.values())
        good = self._answers - self.errors["timeout"]
        span = self._last_answer - self._first_sent
        return LoadResult(
            rate_offered_per_second=plan.rate_per_second,
            rate_achieved_per_second=max(good - 1, 0) / span if span > 0 else 0.0,
            requests=self._counted,
            duration_seconds=elapsed_seconds,
            latency=latency,
            mean_half_width_seconds=self._half_width(),
            by_request={
                label: found
                for label, histogram in self._by_request.items()
                if (found := self._latency(histogram, self._sums[label]))
            },
            errors=dict(sorted(self.errors.items())),
            error_ratio=failures / self._counted,
            generator_cpu_share=cpu_seconds / elapsed_seconds,
            lateness_mean_seconds=lateness_mean,
            lateness_p99_seconds=lateness_p99,
            problems=tuple(_problems(latency, lateness_mean, lateness_p99)),
        )

    @staticmethod
    def _latency(histogram: HdrHistogram, total: float) -> Latency | None:
        count = histogram.get_total_count()
        if not count:
            return None
        p50, p95, p99 = (histogram.get_value_at_percentile(p) / _MICROSECONDS for p in (50, 95, 99))
        return Latency(
            count=count,
            mean=total / count,
            p50=p50,
            p95=p95,
            p99=p99,
            maximum=histogram.get_max_value() / _MICROSECONDS,
        )

    def _half_width(self) -> float | None:
        if self._batch_counts.min() < 1:
            return None
        means = self._batch_sums / self._batch_counts
        return float(stdtrit(_BATCHES - 1, 0.975) * means.std(ddof=1) / math.sqrt(_BATCHES))


def _problems(latency: Latency | None, lateness_mean: float, lateness_p99: float) -> list[str]:
    """What makes the measured latency the generator's own: starts late by a notable part of it."""
    if latency is None:
        return ["no request was answered"]
    found = []
    if lateness_mean > max(0.05 * latency.mean, _GRACE_SECONDS):
        found.append(
            f"the generator started requests {lateness_mean * 1000:.2f} ms late on average, "
            f"more than 5 % of the mean latency of {latency.mean * 1000:.2f} ms"
        )
    if lateness_p99 > max(0.2 * latency.p99, 10 * _GRACE_SECONDS):
        found.append(
            f"one request in a hundred started more than {lateness_p99 * 1000:.2f} ms late, "
            f"over 20 % of the p99 latency of {latency.p99 * 1000:.2f} ms"
        )
    return found


def _error_kind(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorError():
            return "connect"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | OSError():
            return "connection lost"
        case _:
            return type(error).__name__


class UnusableLoad(Exception):  # noqa: N818 - the message is the caller's error
    """The load can't be sent as planned."""


Variables = dict[str, str]


def _filled(value: JsonValue, variables: Variables) -> JsonValue:
    """The value with each `{name}` in its texts replaced."""
    match value:
        case str():
            for name, text in variables.items():
                value = value.replace(f"{{{name}}}", text)
            return value
        case list():
            return [_filled(item, variables) for item in value]
        case dict():
            return {key: _filled(item, variables) for key, item in value.items()}
        case _:
            return value


class _Sender:
    """Sends one plan over one session."""

    def __init__(self, plan: LoadPlan, session: aiohttp.ClientSession, recorder: Recorder) -> None:
        self._session = session
        self._recorder = recorder
        self._clock = asyncio.get_running_loop().time
        self._requests = plan.requests
        self._base = plan.base_url.rstrip("/")
        self._host = {"Host": plan.host_header} if plan.host_header else {}
        self._ready: dict[int, Call] = {}

    def _call(self, request: Request | Preparation, variables: Variables) -> "Call":
        body, headers = None, dict(self._host)
        if request.body is not None:
            body = json.dumps(_filled(request.body, variables)).encode()
            headers["Content-Type"] = "application/json"
        if isinstance(request, Request):
            headers |= request.headers
        return Call(request.method, f"{self._base}{_filled(request.path, variables)}", body, headers)

    async def prepare(self, kinds: npt.NDArray[np.intp]) -> None:
        """Make what the requests need, and the requests, so that sending costs as little as possible."""
        at_once = asyncio.Semaphore(_PREPARED_AT_ONCE)
        plain = [self._call(request, {}) for request in self._requests]

        async def one(index: int, request: Request) -> None:
            variables: Variables = {}
            async with at_once:
                for step in request.prepare:
                    async with self._open(self._call(step, variables)) as response:
                        if response.status >= 400:
                            raise UnusableLoad(
                                f"to prepare {request.label}, {step.method} {step.path} "
                                f"was answered with status {response.status}"
                            )
                        answer = await response.json()
                        variables |= {name: str(answer[field]) for name, field in step.capture.items()}
            self._ready[index] = self._call(request, variables)

        waiting = []
        for index, kind in enumerate(kinds.tolist()):
            if self._requests[kind].prepare:
                waiting.append(one(index, self._requests[kind]))
            else:
                self._ready[index] = plain[kind]
        await asyncio.gather(*waiting)

    def _open(self, call: "Call") -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        # a redirect could lead off this machine
        return self._session.request(
            call.method, call.url, data=call.body, headers=call.headers, allow_redirects=False
        )

    async def send(self, index: int, label: str, intended: float) -> None:
        """Send request `index` of the run and record what comes of it."""
        moment = self._clock()
        self._recorder.sent(index, moment, moment - intended)
        try:
            async with self._open(self._ready.pop(index)) as response:
                await response.read()
        except TimeoutError:
            moment = self._clock()
            self._recorder.answered(index, label, moment, moment - intended)
            self._recorder.failed(index, "timeout")
        except (aiohttp.ClientError, OSError) as error:
            self._recorder.failed(index, _error_kind(error))
        else:
            moment = self._clock()
            if response.status >= 400:
                self._recorder.failed(index, f"status {response.status}")
            else:
                self._recorder.answered(index, label, moment, moment - intended)


@dataclass(frozen=True)
class Call:
    """A request, ready to be sent."""

    method: str
    url: str
    body: bytes | None
    headers: dict[str, str]


async def _send_all(plan: LoadPlan, show: Callable[[int, int], None]) -> LoadResult:
    times = arrival_times(plan)
    kinds = choose_requests(plan, len(times))
    warmup = int(np.searchsorted(times, plan.warmup_seconds)) if plan.warmup_seconds else 0
    if warmup == len(times):
        raise UnusableLoad(
            f"no request falls into {plan.duration_seconds - plan.warmup_seconds:g} s "
            f"at {plan.rate_per_second:g}/s; measure longer"
        )
    labels = [request.label for request in plan.requests]
    recorder = Recorder(labels, len(times), warmup, plan.timeout_seconds)
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),  # a limit would close the loop
        timeout=aiohttp.ClientTimeout(total=plan.timeout_seconds),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    ) as session:
        sender = _Sender(plan, session, recorder)
        await sender.prepare(kinds)
        gc.collect()
        gc.freeze()
        gc.disable()  # memory is bounded by max_requests; a collection would make requests late
        cpu = time.process_time()
        start = shown = loop.time() + _START_DELAY_SECONDS
        under_way: set[asyncio.Task[None]] = set()
        for index, offset in enumerate(times):
            intended = start + float(offset)
            delay = intended - _EARLY_SECONDS - loop.time()
            if delay > 0:
                await asyncio.sleep(delay)
            while loop.time() < intended:
                await asyncio.sleep(0)
            task = loop.create_task(sender.send(index, labels[kinds[index]], intended))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            if intended - shown > 1:
                shown = intended
                show(index + 1, len(times))
        await asyncio.gather(*under_way)
        return recorder.result(plan, time.process_time() - cpu, loop.time() - start)


def _allow_many_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _keep_the_clock() -> None:
    # The share of the processor is small and bounded; what it needs is to get it at once.
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -20)


def main() -> None:
    """Entry point of the process."""
    plan = LoadPlan.model_validate_json(sys.stdin.read())
    check_target(plan)
    _allow_many_connections()
    _keep_the_clock()

    def tell(line: Line) -> None:
        print(line.model_dump_json(), flush=True)

    loop = asyncio.SelectorEventLoop(_MicrosecondSelector())
    try:
        result = loop.run_until_complete(
            _send_all(plan, lambda sent, planned: tell(Line(sent=sent, planned=planned)))
        )
    except (UnusableLoad, aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
        # Only preparations let these through; requests of the load itself are counted by kind.
        raise SystemExit(f"{error or type(error).__name__}") from error
    finally:
        loop.close()
    tell(Line(result=result))


if __name__ == "__main__":
    main()
