"""A worker: how its namespaces are prepared, and the processes in it."""

import json
import os
from pathlib import Path
from typing import Any

import yaml

from groundplan.cluster import cgroups
from groundplan.cluster.addresses import MOST_WORKERS
from groundplan.cluster.context import Context
from groundplan.cluster.machine import Machine
from groundplan.cluster.processes import (
    CLUSTER_DOMAIN,
    Process,
    api_is_up,
    api_was_ready,
    kubeconfig_of,
    process,
)
from groundplan.cluster.state import write_atomically

CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
# What the control plane and the workers' own processes are given; the rest is divided among the workers.
SYSTEM_CPUS = 0.2
SYSTEM_MEMORY_BYTES = 1536 * 2**20
EVICT_BELOW_MEMORY_BYTES = 100 * 2**20
EVICT_BELOW_DISK = "512Mi"
_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")


def write_worker(context: Context, number: int, machine: Machine, pause_image: str) -> None:
    """Write the configuration of everything in a worker, and the list that its supervisor reads."""
    folder = context.paths.worker(number)
    for part in ("var-lib", "var-log", "config/cni", f"config/registries/{context.registry}"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    _write_cni(context, number)
    _write_registry_hosts(context, number)
    processes = [
        _containerd(context, number, machine, pause_image),
        _kubelet(context, number, machine),
        _kube_proxy(context, number),
        _network_policy(context, number),
    ]
    document = {
        "status": str(folder / "status.json"),
        "cgroup_procs": cgroups.procs_files(f"{context.cgroup}/worker-{number}/system"),
        "prepare": _prepare(context, number),
        "processes": processes,
    }
    write_atomically(folder / "processes.json", json.dumps(document, indent=1))


def _prepare(context: Context, number: int) -> list[dict[str, Any]]:
    """Return the steps that turn fresh namespaces into a worker."""
    folder, addresses, link = context.paths.worker(number), context.addresses, context.link(number)
    # Before the new /proc is mounted, the host's namespaces can be named through it.
    pods = f"{context.cgroup}/worker-{number}/pods"
    on_host = ["nsenter", "--net=/proc/$GROUNDPLAN_SUPERVISOR/ns/net", "ip"]
    routes = "".join(
        f"route replace {addresses.pods_of(other)} via {addresses.worker(other)} dev eth0\n"
        for other in range(1, MOST_WORKERS + 1)
        if other != number
    )
    network = (
        "link set lo up\n"
        f"address add {addresses.worker(number)}/{addresses.node_network.prefixlen} dev eth0\n"
        "link set eth0 up\n"
        f"route add default via {addresses.host}\n"
        # Each pod has a route of its own; what goes to one that has ended fails at once instead of late.
        f"route add unreachable {addresses.pods_of(number)}\n" + routes
    )
    # The same for Services that don't exist, which would go back and forth between host and worker.
    refuse = (
        "table ip groundplan {\n  chain forward {\n    type filter hook forward priority 10;\n"
        f"    ip daddr {addresses.service_network} meta l4proto tcp reject with tcp reset\n"
        f"    ip daddr {addresses.service_network} reject\n  }}\n}}\n"
    )
    firewall = folder / "config" / "firewall"
    write_atomically(firewall, refuse)
    batch = folder / "config" / "network"
    write_atomically(batch, network)
    run: list[list[str]] = [
        [*on_host, "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", "1"],
        [*on_host, "link", "set", link, "master", context.bridge, "up"],
        ["ip", "-batch", str(batch)],
        ["nft", "-f", str(firewall)],
        ["mount", "--make-rshared", "/"],
        ["mount", "--bind", str(folder / "var-lib"), "/var/lib"],
        ["mount", "--bind", str(folder / "var-log"), "/var/log"],
        *_resolver(context, folder),
        ["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"],
        ["mount", "-t", "proc", "proc", "/proc"],
    ]
    return [
        {"run": [*on_host, "link", "delete", link], "may_fail": True},  # a former life's, not yet gone
        *({"run": command} for command in run),
        # Groups of pods of a former life: a kubelet would look for each one's container, for seconds.
        *({"empty": str(root / pods)} for root in cgroups.hierarchies()),
        {"write": ["/proc/sys/kernel/hostname", f"worker-{number}"]},
        {"write": ["/proc/sys/net/ipv4/ip_forward", "1"]},
        # Replies to pods go another way than requests, and that is as it should be.
        {"write": ["/proc/sys/net/ipv4/conf/all/send_redirects", "0"]},
        {"write": ["/proc/sys/net/ipv4/conf/eth0/send_redirects", "0"]},
        {"write": ["/proc/sys/net/ipv6/conf/all/disable_ipv6", "1"]},
    ]


def resolver_text(text: str) -> str:
    """Return the machine's resolver settings without servers that can only be reached on its loopback."""
    lines = [line for line in text.splitlines() if not line.startswith(("nameserver 127.", "nameserver ::1"))]
    return "\n".join(lines) + "\n"


def _resolver(context: Context, folder: Path) -> list[list[str]]:
    candidates = [Path("/run/systemd/resolve/resolv.conf"), Path("/etc/resolv.conf")]
    source = next((path for path in candidates if path.exists()), None)
    write_atomically(folder / "config" / "resolv.conf", resolver_text(source.read_text() if source else ""))
    real = Path("/etc/resolv.conf").resolve()
    if not real.exists() or real.is_relative_to("/run"):
        return []
    return [["mount", "--bind", str(folder / "config" / "resolv.conf"), str(real)]]


def _write_cni(context: Context, number: int) -> None:
    document = {
        "cniVersion": "1.0.0",
        "name": "groundplan",
        "plugins": [
            {
                "type": "ptp",
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": str(context.addresses.pods_of(number))}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                    # Pods don't outlive the worker, so neither may what is known of their addresses.
                    "dataDir": "/run/cni",
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True},
        ],
    }
    path = context.paths.worker(number) / "config" / "cni" / "10-groundplan.conflist"
    write_atomically(path, json.dumps(document, indent=1))


def _write_registry_hosts(context: Context, number: int) -> None:
    mirror = f"http://{context.registry_on_bridge}"
    text = f'server = "{mirror}"\n\n[host."{mirror}"]\n  capabilities = ["pull", "resolve"]\n'
    folder = context.paths.worker(number) / "config" / "registries" / context.registry
    write_atomically(folder / "hosts.toml", text)


def _containerd(context: Context, number: int, machine: Machine, pause_image: str) -> Process:
    folder = context.paths.worker(number)
    config = folder / "config" / "containerd.toml"
    quoted = {
        "sandbox": pause_image,
        "registries": str(folder / "config" / "registries"),
        "plugins": str(context.tools["ptp"].parent),
        "cni": str(folder / "config" / "cni"),
        "runc": str(context.tools["runc"]),
    }
    value = {name: json.dumps(text) for name, text in quoted.items()}  # TOML's strings are JSON's
    write_atomically(
        config,
        f"""version = 3
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
  address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "{"overlayfs" if machine.overlay else "native"}"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = {value["sandbox"]}
  [plugins."io.containerd.cri.v1.images".registry]
    config_path = {value["registries"]}

[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = {"false" if machine.may_raise_priority else "true"}
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = [{value["plugins"]}]
    conf_dir = {value["cni"]}
  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
        BinaryName = {value["runc"]}
        SystemdCgroup = false
""",
    )
    proxies = {name: os.environ[name] for name in _PROXY_VARIABLES if name in os.environ}
    own = ",".join(str(network) for network in context.addresses.networks())
    return process(
        context,
        "containerd",
        [context.tools["containerd"], "--config", config, "--log-level", "warn"],
        folder / "var-log",
        environment={**proxies, **({"NO_PROXY": f"localhost,{own}"} if proxies else {})},
        files=[config],
    )


def reserved(machine: Machine, workers: int) -> dict[str, str]:
    """Return what a worker must leave free so that all of them together promise no more than there is."""
    cpus = machine.cpus - max(machine.cpus - SYSTEM_CPUS, 0.1) / workers
    share = max(machine.memory_bytes - SYSTEM_MEMORY_BYTES, 256 * 2**20) / workers
    memory = machine.memory_bytes - share - EVICT_BELOW_MEMORY_BYTES
    return {"cpu": f"{round(cpus * 1000)}m", "memory": f"{max(0, round(memory / 2**20))}Mi"}


def _kubelet(context: Context, number: int, machine: Machine) -> Process:
    folder, pki, name = context.paths.worker(number), context.pki, f"worker-{number}"
    config = folder / "config" / "kubelet.yaml"
    document = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": str(context.addresses.worker(number)),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki.certificate("cluster-ca"))},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{context.cgroup}/{name}/pods",
        "clusterDNS": [str(context.addresses.dns_service)],
        "clusterDomain": CLUSTER_DOMAIN,
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "evictionHard": {
            "memory.available": f"{EVICT_BELOW_MEMORY_BYTES // 2**20}Mi",
            "nodefs.available": EVICT_BELOW_DISK,
            "imagefs.available": EVICT_BELOW_DISK,
            "nodefs.inodesFree": "1%",
        },
        "failCgroupV1": False,
        "failSwapOn": False,
        # Other programs fill the same disk: their use is no reason to throw images away.
        "imageGCHighThresholdPercent": 100,
        "kubeReserved": reserved(machine, len(context.state.workers)),
        "nodeLeaseDurationSeconds": 20,
        "oomScoreAdj": -999 if machine.may_raise_priority else 0,
        "readOnlyPort": 0,
        "registryPullQPS": 0,
        "resolvConf": str(folder / "config" / "resolv.conf"),
        "serializeImagePulls": False,
        "tlsCertFile": str(pki.certificate(f"kubelet-{name}-server")),
        "tlsPrivateKeyFile": str(pki.key(f"kubelet-{name}-server")),
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
    }
    write_atomically(config, yaml.safe_dump(document))
    labels = f"topology.kubernetes.io/zone=zone-{number},topology.kubernetes.io/region=local"
    argv = [
        context.tools["kubelet"],
        f"--config={config}",
        f"--kubeconfig={kubeconfig_of(context, f'kubelet-{name}')}",
        f"--hostname-override={name}",
        f"--node-ip={context.addresses.worker(number)}",
        f"--node-labels={labels}",
    ]
    return process(
        context,
        "kubelet",
        argv,
        folder / "var-log",
        waits_for=[f"unix:{CONTAINERD_SOCKET}", api_is_up(context)],
        files=[config, kubeconfig_of(context, f"kubelet-{name}"), pki.certificate(f"kubelet-{name}-server")],
    )


def _kube_proxy(context: Context, number: int) -> Process:
    folder = context.paths.worker(number)
    config = folder / "config" / "kube-proxy.yaml"
    document = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "bindAddress": str(context.addresses.worker(number)),
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "clientConnection": {"kubeconfig": str(kubeconfig_of(context, "proxy"))},
        "clusterCIDR": str(context.addresses.pod_network),
        # The limits belong to the whole machine and are left as they are.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
        "hostnameOverride": f"worker-{number}",
        "iptables": {"localhostNodePorts": False, "minSyncPeriod": "100ms"},
        "mode": "iptables",
    }
    write_atomically(config, yaml.safe_dump(document))
    return process(
        context,
        "kube-proxy",
        [context.tools["kube-proxy"], f"--config={config}"],
        folder / "var-log",
        waits_for=api_was_ready(context),
        files=[config, kubeconfig_of(context, "proxy")],
    )


def _network_policy(context: Context, number: int) -> Process:
    """kube-router's firewall alone: it compiles network policies to iptables and ipset."""
    argv = [
        context.tools["kube-router"],
        "--run-router=false",
        "--run-service-proxy=false",
        "--run-loadbalancer=false",
        "--run-firewall=true",
        "--enable-cni=false",
        "--health-port=0",
        f"--kubeconfig={kubeconfig_of(context, 'network-policy')}",
        f"--hostname-override=worker-{number}",
        f"--service-cluster-ip-range={context.addresses.service_network}",
    ]
    return process(
        context,
        "network-policy",
        argv,
        context.paths.worker(number) / "var-log",
        waits_for=api_was_ready(context),
        files=[kubeconfig_of(context, "network-policy")],
    )
