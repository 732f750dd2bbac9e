"""The cluster's own firewall table on the host: the way out for pods, and no way in from outside.

Pods don't get at the image registry: whoever could push there could replace what others run.

One nftables table per cluster, so that removing it leaves nothing behind.
"""

import subprocess

from groundplan.cluster.context import REGISTRY_PORT, Context
from groundplan.errors import ClusterError


def _table(context: Context) -> str:
    return f"groundplan-{context.name}"


def render(context: Context) -> str:
    """Return the table as nftables reads it; loading it again replaces it in one step."""
    bridge, addresses = f'"{context.bridge}"', context.addresses
    way_out = "accept" if context.state.internet else "drop"
    return f"""add table ip {_table(context)}
delete table ip {_table(context)}
table ip {_table(context)} {{
  chain translate {{
    type nat hook postrouting priority srcnat; policy accept;
    oifname != {bridge} ip saddr {{ {addresses.node_network}, {addresses.pod_network} }} masquerade
  }}
  chain forward {{
    type filter hook forward priority filter - 5; policy accept;
    iifname {bridge} oifname {bridge} accept
    iifname {bridge} {way_out}
    oifname {bridge} ct state established,related accept
    oifname {bridge} drop
  }}
  chain input {{
    type filter hook input priority filter - 5; policy accept;
    ip saddr {addresses.pod_network} tcp dport {REGISTRY_PORT} reject with tcp reset
  }}
}}
"""


def ensure(context: Context) -> None:
    """Load the table."""
    _run(["nft", "-f", "-"], render(context))
    for rule in _exceptions(context) if _forwarding_is_refused() else ():
        if subprocess.run(["iptables", "-w", "-C", *rule], capture_output=True, check=False).returncode != 0:
            _run(["iptables", "-w", "-I", *rule])


def remove(context: Context) -> None:
    """Remove the table and the exceptions, where they are."""
    _run(["nft", "-f", "-"], f"add table ip {_table(context)}\ndelete table ip {_table(context)}\n")
    if _forwarding_is_refused():
        for rule in _exceptions(context):
            subprocess.run(["iptables", "-w", "-D", *rule], capture_output=True, check=False)


def _forwarding_is_refused() -> bool:
    """Tell whether the machine's firewall drops what it doesn't know, as Docker makes it do."""
    run = subprocess.run(["iptables", "-w", "-S", "FORWARD"], capture_output=True, text=True, check=False)
    return "-P FORWARD DROP" in run.stdout


def _exceptions(context: Context) -> list[list[str]]:
    """Return the rules that let the cluster through such a firewall; our table has judged already."""
    mark = ["-m", "comment", "--comment", _table(context), "-j", "ACCEPT"]
    return [["FORWARD", "-i", context.bridge, *mark], ["FORWARD", "-o", context.bridge, *mark]]


def _run(command: list[str], text: str | None = None) -> None:
    run = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise ClusterError(
            "the firewall could not be set up",
            where=" ".join(command),
            value=run.stderr.strip(),
            fix="The kernel needs nf_tables with nat and conntrack",
        )
