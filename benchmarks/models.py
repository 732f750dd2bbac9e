"""How fast the models are, against simulating the same queues and against a plain loop.

Run: python benchmarks/models.py (about ten seconds). Ratios compare seconds for one queue; what ciw
simulates is only an estimate of what the formulas give exactly.
"""

import time
from collections.abc import Callable

import ciw  # type: ignore[import-untyped]  # has no types
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from groundplan.models import plan
from groundplan.models.queueing import erlang_c
from groundplan.spec import System, build_system

SERVERS = 16
QUEUES = 100_000
SIMULATED_REQUESTS = 20_000


def seconds(action: Callable[[], object], repeats: int = 3) -> float:
    """Least time of a few runs, which is the one that was disturbed least."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def vectorised(loads: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean waits of M/M/c at all loads in one pass, service rate 1."""
    return np.asarray(erlang_c(SERVERS, loads) / (SERVERS - loads))


def looped(loads: list[float]) -> list[float]:
    """The same, one queue after the other, with the textbook's sum of powers over factorials."""
    waits = []
    for load in loads:
        term, total = 1.0, 1.0
        for k in range(1, SERVERS):
            term *= load / k
            total += term
        last = term * load / SERVERS / (1 - load / SERVERS)
        waits.append(last / (total + last) / (SERVERS - load))
    return waits


def simulated(load: float) -> float:
    """The same for one queue, by simulation in ciw."""
    ciw.seed(1)
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(load)],
        service_distributions=[ciw.dists.Exponential(1)],
        number_of_servers=[SERVERS],
    )
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_customers(SIMULATED_REQUESTS)
    return float(np.mean([record.waiting_time for record in simulation.get_all_records()]))


def ten_services() -> System:
    """A chain of ten services, each with three replicas of four workers."""
    services: dict[str, dict[str, object]] = {}
    for number in range(10):
        services[f"s{number}"] = {
            "replicas": 3,
            "concurrency": 4,
            "cpu": "100m",
            "memory": "64Mi",
            "service_time": {"mean": "4ms"},
            "calls": [{"to": f"s{number + 1}"}] if number < 9 else [],
            "slo": {"p95": "1s", "availability": 0.9},
        }
    services["s0"]["load"] = {"arrival_rate": 40}
    platform = {"nodes": 3, "zones": 3, "node_cpu": 4, "node_memory": "8Gi"}
    return build_system({"name": "ten", "platform": platform, "services": services}, "benchmark")


def main() -> None:
    """Time everything and print one table."""
    loads = np.linspace(0.1, 0.95, QUEUES) * SERVERS
    few = [float(load) for load in loads[:: QUEUES // 2000]]
    system = ten_services()
    fast = seconds(lambda: vectorised(loads)) / QUEUES
    plain = seconds(lambda: looped(few)) / len(few)
    slow = seconds(lambda: simulated(0.8 * SERVERS), repeats=1)
    whole = seconds(lambda: plan.evaluate(system), repeats=10)

    table = Table(title=f"mean wait of M/M/{SERVERS}")
    for heading in ("how", "microseconds per queue", "times groundplan"):
        table.add_column(heading, justify="left" if heading == "how" else "right")
    table.add_row(f"groundplan, {QUEUES} loads at once", f"{fast * 1e6:.3f}", "1")
    table.add_row("plain Python loop", f"{plain * 1e6:.3f}", f"{plain / fast:.0f}")
    table.add_row(f"ciw, {SIMULATED_REQUESTS} requests", f"{slow * 1e6:.0f}", f"{slow / fast:.2g}")
    console = Console()
    console.print(table)
    console.print(f"evaluating ten services, all promises: {whole * 1000:.1f} ms")


if __name__ == "__main__":
    main()
