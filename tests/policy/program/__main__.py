"""Deploys the manifests in stack.json beside this file as plain Kubernetes resources.

A text "<unknown>" becomes a value that isn't known at preview.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

VERSIONS = {
    "v1": kubernetes.core.v1,
    "apps/v1": kubernetes.apps.v1,
    "autoscaling/v2": kubernetes.autoscaling.v2,
    "policy/v1": kubernetes.policy.v1,
}


def known_later() -> pulumi.Output[Any]:
    def settled(value: Any) -> "asyncio.Future[Any]":
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.set_result(value)
        return future

    return pulumi.Output(settled(set()), settled(None), settled(False))


def prepared(value: Any) -> Any:
    if value == "<unknown>":
        return known_later()
    if isinstance(value, dict):
        return {key: prepared(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [prepared(inner) for inner in value]
    return value


stack = json.loads((Path(__file__).parent / "stack.json").read_text())
provider = kubernetes.Provider("none", render_yaml_to_directory="rendered")
for manifest in stack:
    metadata = manifest["metadata"]
    fields = {key: prepared(value) for key, value in manifest.items() if key not in ("apiVersion", "kind")}
    getattr(VERSIONS[manifest["apiVersion"]], manifest["kind"])(
        "-".join(
            [
                manifest["kind"].lower(),
                manifest["metadata"].get("namespace", ""),
                manifest["metadata"]["name"],
            ]
        ),
        opts=pulumi.ResourceOptions(provider=provider),
        **fields,
    )
