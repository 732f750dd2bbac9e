"""How fast the embedded cluster is ready, on warm caches, beside the published times of other local clusters.

Ready means: nodes Ready and the cluster's DNS answers. The others' times are from minikube's own benchmark of
local clusters up to a working DNS (May 2025); they were measured on another machine, so the ratios only tell
the order of magnitude.

Run as root: .venv/bin/python -m benchmarks.cluster [rounds]
"""

import statistics
import sys
import time

from groundplan import cluster
from groundplan.cluster import ClusterConfig

NAME = "bench"
PUBLISHED_SECONDS = {"k3d": 19.9, "kind": 33.0, "minikube": 50.8}


def measure(rounds: int) -> dict[str, list[float]]:
    """Seconds of each command in each round; the cluster is removed in the end."""
    seconds: dict[str, list[float]] = {"up, from nothing": [], "up, nothing to do": [], "down": []}
    config = ClusterConfig(name=NAME, workers=2, registry_port=5010)
    for _ in range(rounds):
        for what, measured in seconds.items():
            started = time.monotonic()
            if what == "down":
                cluster.down(NAME)
            else:
                cluster.up(config)
            measured.append(time.monotonic() - started)
    return seconds


def main() -> None:
    """Print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    cluster.up(ClusterConfig(name=NAME, workers=2, registry_port=5010))  # warms the caches
    cluster.down(NAME)
    seconds = measure(rounds)
    print("| command | median s | least | most |\n|---|---|---|---|")
    for what, values in seconds.items():
        print(f"| {what} | {statistics.median(values):.1f} | {min(values):.1f} | {max(values):.1f} |")
    ready = statistics.median(seconds["up, from nothing"])
    print("\n| local cluster | published s | ratio to ours |\n|---|---|---|")
    for name, published in PUBLISHED_SECONDS.items():
        print(f"| {name} | {published} | {published / ready:.2f} |")


if __name__ == "__main__":
    main()
