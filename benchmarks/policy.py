"""How much time the policy pack adds to a preview, side by side in one run.

Previews the same stack of about 60 resources without a pack, with a pack of one empty policy (what the
engine and the Python SDK need to start any pack), and with the pack of groundplan, in turn. The share of
groundplan is the difference between the last two. Also times what happens inside the pack: importing it and
judging the stack.

Run: .venv/bin/python -m benchmarks.policy [rounds]
"""

import copy
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from tests.policy.engine import PACK, Engine

GOOD = Path("tests/policy/good.yaml")
COPIES = 5  # of the 11 resources of the good stack
EMPTY = """
from pulumi_policy import EnforcementLevel, PolicyPack, StackValidationPolicy

PolicyPack("empty", [StackValidationPolicy("nothing", "Nothing", lambda args, report: None)])
"""
INSIDE = """
import json, sys, time
began = time.perf_counter()
import pulumi_policy
sdk = time.perf_counter()
from groundplan.policy.pulumi_pack import policies
from groundplan.policy.registry import all_rules
policies()
imported = time.perf_counter()
from groundplan.policy.promises import load_models
load_models()
models = time.perf_counter()
from groundplan.policy.resources import Origin, Resource
from groundplan.policy.stack import Stack
manifests = json.load(open(sys.argv[1]))
stack = Stack(Resource(one["kind"], one["apiVersion"], one, Origin()) for one in manifests)
judged = time.perf_counter()
all_rules().judge(stack)
done = time.perf_counter()
print(sdk - began, imported - sdk, models - imported, done - judged)
"""


def manifests() -> list[dict[str, Any]]:
    """Copies of the good stack, each in a namespace of its own."""
    found = []
    for number in range(COPIES):
        for one in copy.deepcopy(list(yaml.safe_load_all(GOOD.read_text()))):
            metadata = one["metadata"]
            if one["kind"] == "Namespace":
                metadata["name"] = f"shop-{number}"
            else:
                metadata["namespace"] = f"shop-{number}"
            found.append(one)
    return found


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        empty = folder / "empty"
        empty.mkdir()
        (empty / "__main__.py").write_text(EMPTY)
        settings = yaml.safe_load((PACK / "PulumiPolicy.yaml").read_text())
        settings["runtime"]["options"]["virtualenv"] = sys.prefix
        (empty / "PulumiPolicy.yaml").write_text(yaml.safe_dump(settings))
        engine = Engine.start(folder)
        stack = manifests()
        engine.deploys(stack)
        packs: dict[str, tuple[str, ...]] = {
            "no pack": (),
            "empty pack": ("--policy-pack", str(empty)),
            "groundplan": ("--policy-pack", str(PACK)),
        }
        seconds: dict[str, list[float]] = {pack: [] for pack in packs}
        for _ in range(rounds):
            for pack, arguments in packs.items():
                began = time.perf_counter()
                answer = engine.run("preview", *arguments)
                seconds[pack].append(time.perf_counter() - began)
                if answer.code != 0:
                    raise SystemExit(answer.text)
        inside = _inside(engine.folder / "stack.json", rounds)
    print(f"{len(stack)} resources, {rounds} rounds, seconds: median (least)")
    for pack, values in seconds.items():
        print(f"  preview, {pack:<11} {statistics.median(values):6.2f} ({min(values):.2f})")
    share = [ours - base for ours, base in zip(seconds["groundplan"], seconds["empty pack"], strict=True)]
    print(f"  groundplan's share  {statistics.median(share):6.2f} ({min(share):.2f}), goal below 1")
    for part, value in zip(("SDK import", "pack import", "models import", "judging"), inside, strict=True):
        print(f"  inside, {part:<13} {value:6.2f}")


def _inside(stack: Path, rounds: int) -> list[float]:
    """Medians of the times inside the pack."""
    runs = []
    for _ in range(rounds):
        done = subprocess.run(
            [sys.executable, "-c", INSIDE, str(stack)], capture_output=True, text=True, check=True
        )
        runs.append([float(value) for value in done.stdout.split()])
    return [statistics.median(values) for values in zip(*runs, strict=True)]


if __name__ == "__main__":
    main()
