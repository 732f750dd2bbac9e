"""How the stack's program finds the registry, the base image and the builder of an embedded cluster."""

import json
import os
from pathlib import Path

from groundplan.images.base import ensure_base
from groundplan.progress import QUIET, Progress
from groundplan.toolchain import home

BUILDER = "groundplan"
# Variables with which people tell programs that a proxy's authority is to be trusted.
_CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")


def image_settings(registry: str, socket: Path, progress: Progress = QUIET) -> dict[str, str]:
    """Return the environment in which a stack's images are built for an embedded cluster.

    registry: host and port that images are pushed to; the base image is made there where it is missing.
    socket: where the BuildKit daemon listens. It is described to buildx in a folder of its own: the
    user's Docker configuration is neither read nor written.
    """
    folder = home() / "images" / "buildx"
    _describe_builder(folder, socket)
    settings = {
        "BUILDX_CONFIG": str(folder),
        "DOCKER_CONFIG": str(folder),
        "GROUNDPLAN_REGISTRY": registry,
        "GROUNDPLAN_BASE": ensure_base(registry, progress),
        "GROUNDPLAN_BUILDER_NAME": BUILDER,
    }
    bundle = next((os.environ[name] for name in _CERTIFICATE_VARIABLES if os.environ.get(name)), None)
    if bundle:
        settings["GROUNDPLAN_CA_CERTIFICATES"] = bundle
    return settings


def _describe_builder(folder: Path, socket: Path) -> None:
    instance = {
        "Name": BUILDER,
        "Driver": "remote",
        "Nodes": [{"Name": f"{BUILDER}0", "Endpoint": f"unix://{socket}"}],
        "Dynamic": False,
    }
    (folder / "instances").mkdir(parents=True, exist_ok=True)
    (folder / "instances" / BUILDER).write_text(json.dumps(instance))
