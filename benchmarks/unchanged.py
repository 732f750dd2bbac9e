"""What `groundplan up` costs when nothing has changed, and how much of it is the engine's own preview.

Needs the e-commerce stack deployed (`make up`). Times, in turn: the command, a preview with the policy pack,
and a preview without it.

Run: .venv/bin/python -m benchmarks.unchanged [rounds]
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from groundplan.cli.place import deploy_settings, deployment, image_environment, place_of
from groundplan.progress import QUIET

COMMAND = Path(sys.prefix) / "bin" / "groundplan"


def timed(action: Callable[[], object]) -> float:
    """Seconds that an action takes."""
    started = time.monotonic()
    action()
    return time.monotonic() - started


def main() -> None:
    """Print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    place = place_of("ecommerce", None, None, None, "default")
    settings = deploy_settings(place, image_environment(place, QUIET))
    bare = replace(settings, policy_packs=())

    def up() -> None:
        subprocess.run([COMMAND, "up"], check=True, capture_output=True)

    def preview(packs: bool) -> None:
        outcome = deployment(settings if packs else bare, QUIET).preview()
        assert not outcome.has_changes, "the stack is not deployed as it is: run `make up` first"

    actions: dict[str, Callable[[], None]] = {
        "groundplan up": up,
        "preview with the policy pack": lambda: preview(packs=True),
        "preview without it": lambda: preview(packs=False),
    }
    seconds: dict[str, list[float]] = {what: [] for what in actions}
    for _ in range(rounds):
        for what, action in actions.items():
            seconds[what].append(timed(action))
    print("| nothing changed | median s | least | most |\n|---|---|---|---|")
    for what, values in seconds.items():
        print(f"| {what} | {statistics.median(values):.2f} | {min(values):.2f} | {max(values):.2f} |")


if __name__ == "__main__":
    main()
