"""How Pulumi's image provider finds the builder that runs beside the embedded cluster."""

import json
import os
from pathlib import Path

from groundplan.toolchain import home

BUILDER = "groundplan"


def builder_environment(socket: Path) -> dict[str, str]:
    """Describe the BuildKit daemon at `socket` to buildx, and return the environment that points to it.

    The description lies in a folder of its own: the user's Docker configuration is neither read nor written.
    """
    folder = home() / "images" / "buildx"
    instance = {
        "Name": BUILDER,
        "Driver": "remote",
        "Nodes": [{"Name": f"{BUILDER}0", "Endpoint": f"unix://{socket}"}],
        "Dynamic": False,
    }
    (folder / "instances").mkdir(parents=True, exist_ok=True)
    (folder / "instances" / BUILDER).write_text(json.dumps(instance))
    environment = {"BUILDX_CONFIG": str(folder), "DOCKER_CONFIG": str(folder)}
    bundle = os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
    if Path(bundle).exists():
        # Builds that fetch packages trust the authorities that this machine trusts.
        environment["GROUNDPLAN_CA_BUNDLE"] = bundle
    return environment
