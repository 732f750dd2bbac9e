"""How exact the load generator is: against the M/M/1 formula, and what it costs.

    .venv/bin/python -m benchmarks.load_generator [SECONDS_EACH]

A server with one worker and exponential service times runs beside it; for each utilization the table has the
exact mean and p95 and those measured, the generator's lateness and its share of a core.
"""

import math
import sys

import numpy as np
from tests.verify.queue_server import QueueServer

from groundplan.verify import load
from groundplan.verify.load import LoadPlan, Request

SERVICE_SECONDS = 0.010
UTILIZATIONS = (0.3, 0.5, 0.7)


def main() -> None:
    """Print the table."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    service_times = np.random.default_rng(3).exponential(SERVICE_SECONDS, 100_000).tolist()
    print("| utilization | mean exact | measured | ± | p95 exact | measured | late mean | CPU |")
    print("|---|---|---|---|---|---|---|---|")
    for utilization in UTILIZATIONS:
        rate = utilization / SERVICE_SECONDS
        mean = SERVICE_SECONDS / (1 - utilization)
        plan = LoadPlan(
            base_url="http://127.0.0.1",
            requests=(Request(label="one"),),
            rate_per_second=rate,
            duration_seconds=seconds,
            warmup_seconds=2,
        )
        with QueueServer(service_times).running() as server:
            result = load.run(plan.model_copy(update={"base_url": server.url}))
        assert result.latency
        cells = (
            mean, result.latency.mean, result.mean_half_width_seconds or math.nan,
            mean * math.log(20), result.latency.p95, result.lateness_mean_seconds,
        )  # fmt: skip
        times = " | ".join(f"{1000 * cell:.2f} ms" for cell in cells)
        print(f"| {utilization} | {times} | {result.generator_cpu_share:.1%} |", flush=True)


if __name__ == "__main__":
    main()
