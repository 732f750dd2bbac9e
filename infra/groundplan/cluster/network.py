"""The cluster's network on the host: a bridge, the host's address on it, and routes to pods and Services.

Everything hangs on the bridge, so removing the bridge removes it all.
"""

import json
import subprocess
from pathlib import Path

from groundplan.cluster.addresses import MOST_WORKERS
from groundplan.cluster.context import Context
from groundplan.errors import ClusterError


def ip(*words: str, batch: str | None = None) -> str:
    """Run `ip`; raise ClusterError with its own words when it fails."""
    run = subprocess.run(["ip", *words], input=batch, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise ClusterError(
            "the network could not be set up",
            where="ip " + " ".join(words),
            value=run.stderr.strip(),
            fix="Another program may have changed it meanwhile; run it again",
        )
    return run.stdout


def link_exists(name: str) -> bool:
    return Path("/sys/class/net", name).exists()


def uplinks() -> list[str]:
    """Return the links over which this machine reaches the rest of the world."""
    routes = json.loads(ip("-json", "-4", "route", "show", "default") or "[]")
    return sorted({route["dev"] for route in routes if "dev" in route})


def ensure(context: Context) -> None:
    """Make the bridge, its address and the routes, as far as they are missing."""
    bridge, addresses = context.bridge, context.addresses
    if not link_exists(bridge):
        ip("link", "add", bridge, "type", "bridge")
    # Pods and workers speak IPv4 only; without this the kernel gives the bridge an IPv6 address of its own.
    ipv6 = Path(f"/proc/sys/net/ipv6/conf/{bridge}/disable_ipv6")
    if ipv6.exists():
        ipv6.write_text("1")
    prefix = addresses.node_network.prefixlen
    lines = [
        f"address replace {addresses.host}/{prefix} dev {bridge}",
        f"link set {bridge} up",
        *(
            f"route replace {addresses.pods_of(number)} via {addresses.worker(number)} dev {bridge}"
            for number in range(1, MOST_WORKERS + 1)
        ),
    ]
    ip("-batch", "-", batch="\n".join(lines))


def route_services(context: Context) -> None:
    """Lead the Services' addresses to the first worker, whose kube-proxy takes them on."""
    first = min(context.state.workers)
    addresses = context.addresses
    ip(
        "route", "replace", str(addresses.service_network), "via", str(addresses.worker(first)),
        "dev", context.bridge,
    )  # fmt: skip


def remove(context: Context) -> None:
    """Remove the bridge and the workers' links, and with them all addresses and routes."""
    for link in json.loads(ip("-json", "link", "show") or "[]"):
        if link["ifname"] == context.bridge or link.get("master") == context.bridge:
            _delete(link["ifname"])


def _delete(link: str) -> None:
    """Delete a link; a worker's goes by itself, a moment after its namespace."""
    try:
        ip("link", "delete", link)
    except ClusterError:
        if link_exists(link):
            raise
