"""Run every benchmark in turn; `unchanged` needs the e-commerce stack deployed and is left out without it."""

import subprocess
import sys

from groundplan import cluster

ALWAYS = ("models", "load_generator", "policy", "cluster")


def main() -> None:
    """Print all tables."""
    deployed = cluster.status(cluster.DEFAULT_NAME).running
    for name in (*ALWAYS, *(("unchanged",) if deployed else ())):
        print(f"\n## {name}\n", flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)


if __name__ == "__main__":
    main()
