"""The networks of a cluster: numbered sets of them, of which each cluster takes one that is free."""

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from groundplan.errors import ClusterError

MOST_WORKERS = 32
SETS = 32


@dataclass(frozen=True)
class Addresses:
    """One set of networks.

    Sets 0 to 15 lie in 172.30.0.0/16 and 10.0.0.0/8; sets 16 to 31 in 192.168.0.0/16 and 100.64.0.0/10,
    for machines whose own network covers the former.
    """

    number: int

    @property
    def node_network(self) -> IPv4Network:
        """The bridge, which holds the host at .1 and the workers from .11 on."""
        if self.number < 16:
            return IPv4Network(f"172.30.{self.number}.0/24")
        return IPv4Network(f"192.168.{200 + self.number - 16}.0/24")

    @property
    def pod_network(self) -> IPv4Network:
        if self.number < 16:
            return IPv4Network(f"10.{244 - self.number}.0.0/16")
        return IPv4Network(f"100.{96 + self.number - 16}.0.0/16")

    @property
    def service_network(self) -> IPv4Network:
        if self.number < 16:
            return IPv4Network(f"10.{96 + self.number}.0.0/16")
        return IPv4Network(f"100.{64 + self.number - 16}.0.0/16")

    @property
    def loopback(self) -> IPv4Address:
        """A loopback address of the cluster's own, for what only the host needs to reach."""
        return IPv4Address(f"127.30.{self.number}.1")

    @property
    def host(self) -> IPv4Address:
        return self.node_network[1]

    @property
    def api_service(self) -> IPv4Address:
        return self.service_network[1]

    @property
    def dns_service(self) -> IPv4Address:
        return self.service_network[10]

    def worker(self, number: int) -> IPv4Address:
        """Return the node address of a worker, which are counted from 1."""
        return self.node_network[10 + number]

    def pods_of(self, number: int) -> IPv4Network:
        """Return the pod network of a worker, which are counted from 1."""
        return IPv4Network(f"{self.pod_network[256 * number]}/24")

    def networks(self) -> tuple[IPv4Network, ...]:
        return self.node_network, self.pod_network, self.service_network


def networks_in_use() -> list[IPv4Network]:
    """Return every network that this machine has a route to or an address in, but for the default route."""
    run = subprocess.run(
        ["ip", "-json", "-4", "route", "show", "table", "all"], check=True, capture_output=True, text=True
    )
    found = set()
    for route in json.loads(run.stdout or "[]"):
        if route["dst"] != "default" and route.get("type", "unicast") == "unicast":
            found.add(IPv4Network(route["dst"], strict=False))
    run = subprocess.run(["ip", "-json", "-4", "address"], check=True, capture_output=True, text=True)
    for link in json.loads(run.stdout or "[]"):
        for address in link.get("addr_info", []):
            found.add(IPv4Network(f"{address['local']}/{address['prefixlen']}", strict=False))
    loopback = IPv4Network("127.0.0.0/8")
    return sorted(network for network in found if not network.subnet_of(loopback))


def choose(in_use: Iterable[IPv4Network], reserved: Iterable[int]) -> Addresses:
    """Return the first set that overlaps nothing in use and is not reserved by another cluster.

    Raises ClusterError when every set collides.
    """
    in_use, reserved = list(in_use), set(reserved)
    for number in range(SETS):
        candidate = Addresses(number)
        if number not in reserved and not any(
            own.overlaps(other) for own in candidate.networks() for other in in_use
        ):
            return candidate
    raise ClusterError(
        "no set of networks is free on this machine",
        value=", ".join(str(network) for network in in_use),
        bound="room in 172.30.0.0/16 with 10.0.0.0/8, or in 192.168.0.0/16 with 100.64.0.0/10",
        fix="Take down clusters that are no longer needed (`groundplan cluster down`) or remove a route",
    )
