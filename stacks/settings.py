"""What a deployment needs to know about the place it goes to.

Each setting is read from the stack's configuration (`pulumi config set <name> <value>`), else from the
environment (`GROUNDPLAN_<NAME>`), else it has its default. The environment lets a tool that owns the place
say so without touching the stack's file.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import pulumi

from groundplan.errors import SpecError
from groundplan.spec import Service
from pulumi_groundplan import Exposure, ImageBuilder

A = TypeVar("A", bound=Mapping[str, Any])
_CLUSTER_SETTINGS = ("kubeconfig", "context")


@dataclass(frozen=True)
class Settings:
    """Where images go and come from, and how the system is reached."""

    registry: str
    """Registry that images are pushed to and that the cluster pulls from."""
    base: str | None
    """Base image of all images; None for the one that each Dockerfile names."""
    builder: ImageBuilder
    """What builds images."""
    builder_name: str | None
    """Name of the buildx builder; None for the one in use."""
    ca_certificates: str | None
    """PEM text of certificates that downloads during a build must trust."""
    exposure: Exposure
    """How the load balancer is reached."""
    node_port: int | None
    """Port on each node, with exposure NodePort."""
    storage_class: str | None
    """StorageClass of volumes; None for the cluster's default."""
    allowed_hosts: str
    """Host names that requests may carry, separated by commas."""

    def with_volume(self, service: Service, args: A) -> A:
        """A component's arguments, completed by the volume that a spec asks for, as it is called here."""
        fields = {"storage": str(round(service.storage))} if service.storage is not None else {}
        if self.storage_class:
            fields["storage_class"] = self.storage_class
        return cast(A, {**fields, **args})


def _setting(name: str, default: str | None = None) -> str | None:
    variable = "GROUNDPLAN_" + re.sub("([A-Z])", r"_\1", name).upper()
    return pulumi.Config("groundplan").get(name) or os.environ.get(variable) or default


def read_settings() -> Settings:
    """The settings of this deployment. Raises SpecError for a value that doesn't fit."""
    exposure = Exposure(_one_of("exposure", [choice.value for choice in Exposure], "NodePort"))
    builder = ImageBuilder(_one_of("builder", [choice.value for choice in ImageBuilder], "buildkit"))
    node_port = _setting("nodePort", "30080" if exposure is Exposure.NODE_PORT else None)
    if node_port is not None and not node_port.isdigit():
        raise SpecError("nodePort is not a number", where="configuration", value=node_port, bound="a port")
    return Settings(
        registry=_setting("registry") or "localhost:5000",
        base=_setting("base"),
        builder=builder,
        builder_name=_setting("builderName"),
        ca_certificates=_certificates(),
        exposure=exposure,
        node_port=int(node_port) if node_port else None,
        storage_class=_setting("storageClass"),
        allowed_hosts=_setting("allowedHosts") or "*",
    )


def require_a_named_cluster() -> None:
    """Refuse to use a cluster only because it happens to be the current one. Raises SpecError."""
    kubernetes = pulumi.Config("kubernetes")
    named = os.environ.get("KUBECONFIG") or any(kubernetes.get(name) for name in _CLUSTER_SETTINGS)
    if not named:
        raise SpecError(
            "no cluster is named",
            where="configuration",
            bound="named by KUBECONFIG, kubernetes:kubeconfig or kubernetes:context",
            fix="Run KUBECONFIG=<file> pulumi up, or groundplan up for a cluster of its own.",
        )


def _one_of(name: str, choices: list[str], default: str) -> str:
    value = _setting(name, default)
    if value not in choices:
        raise SpecError(
            f"{name} is not one of the known values",
            where="configuration",
            value=value,
            bound="one of " + ", ".join(choices),
        )
    return value


def _certificates() -> str | None:
    path = _setting("caCertificates")
    if not path:
        return None
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise SpecError(
            f"caCertificates can't be read ({error.strerror})",
            where="configuration",
            value=path,
            bound="a file of PEM certificates",
        ) from error
