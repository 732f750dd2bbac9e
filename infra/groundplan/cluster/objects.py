"""The Kubernetes objects that every cluster holds from the start."""

import base64
import hashlib
import subprocess
from pathlib import Path
from string import Template

from groundplan.cluster.context import Context
from groundplan.cluster.worker import resolver_text
from groundplan.errors import ClusterError


def render(context: Context, images: dict[str, str]) -> str:
    """Fill in the objects' manifest."""
    pki = context.pki
    resolver = (
        resolver_text(Path("/etc/resolv.conf").read_text()) if Path("/etc/resolv.conf").exists() else ""
    )
    # Without a way out, asking the machine's name servers would only make unknown names slow.
    forwards = context.state.internet and "nameserver" in resolver
    return Template(Path(__file__).with_name("data").joinpath("objects.yaml").read_text()).substitute(
        coredns=images["coredns"],
        metrics_server=images["metrics-server"],
        dns_service=context.addresses.dns_service,
        dns_replicas=min(2, len(context.state.workers)),
        forward="forward . /etc/resolv.conf" if forwards else "",
        metrics_certificate=_encoded(pki.certificate("metrics-server")),
        metrics_key=_encoded(pki.key("metrics-server")),
        authority=_encoded(pki.certificate("cluster-ca")),
    )


def apply(context: Context, images: dict[str, str]) -> None:
    """Bring the objects to the cluster, unless they are what was brought last.

    Raises ClusterError when the API server refuses one.
    """
    manifest = render(context, images)
    digest = hashlib.sha256(manifest.encode()).hexdigest()
    if digest == context.state.applied:
        return
    command = [
        str(context.tools["kubectl"]),
        f"--kubeconfig={context.paths.kubeconfig}",
        "apply",
        "--server-side",
        "--force-conflicts",
        "--field-manager=groundplan",
        "--filename=-",
    ]
    run = subprocess.run(command, input=manifest, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise ClusterError("the cluster's own objects could not be applied", value=run.stderr.strip())
    context.remember(applied=digest)


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
