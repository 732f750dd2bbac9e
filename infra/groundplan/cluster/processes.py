"""The processes of a cluster and their configuration: on the host, and in each worker."""

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Template
from typing import Any

import yaml

from groundplan.cluster import cgroups, kubeconfig
from groundplan.cluster.addresses import MOST_WORKERS
from groundplan.cluster.context import API_PORT, REGISTRY_PORT, Context
from groundplan.cluster.machine import Machine
from groundplan.cluster.state import write_atomically

ETCD_PORT, ETCD_PEER_PORT = 2379, 2380
CONTROLLER_MANAGER_PORT, SCHEDULER_PORT = 10257, 10259
CLUSTER_DOMAIN = "cluster.local"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
SYSTEM_NAMESPACE = "kube-system"
# What the control plane and the workers' own processes are given; the rest is divided among the workers.
SYSTEM_CPUS = 0.2
SYSTEM_MEMORY_BYTES = 1536 * 2**20
EVICT_BELOW_MEMORY_BYTES = 100 * 2**20
EVICT_BELOW_DISK = "512Mi"
BUILD_CACHE = "4GB"
_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")

SCRIPTS = ("supervisor.py", "forward.py")
STANDARD_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")

Process = dict[str, Any]


def packaged_script(name: str) -> Path:
    """Return where groundplan holds one of its stand-alone scripts."""
    return Path(__file__).with_name(name)


def isolated_python(script: Path, *arguments: str) -> list[str]:
    """Return the command that runs a stand-alone script with a small interpreter.

    The interpreter is named by its real path, so that it is the same from every virtual environment.
    """
    return [str(Path(sys.executable).resolve()), "-I", "-S", "-B", str(script), *arguments]


def install_scripts(context: Context) -> None:
    """Copy the stand-alone scripts to the cluster, which may outlive the checkout that made it."""
    for name in SCRIPTS:
        write_atomically(context.paths.root / name, packaged_script(name).read_text())


def _path(context: Context) -> str:
    """Return a PATH that depends on the tools alone and not on the shell that `up` was called from."""
    folders = dict.fromkeys(str(path.parent) for path in context.tools.values())
    return os.pathsep.join([*folders, *STANDARD_FOLDERS])


def _process(
    context: Context,
    name: str,
    argv: Iterable[object],
    logs: Path,
    *,
    waits_for: Iterable[str] = (),
    stop_seconds: float = 5.0,
    environment: Mapping[str, str] | None = None,
    files: Iterable[Path] = (),
) -> Process:
    """Describe a process; it is restarted when the contents of `files` change."""
    contents = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    return {
        "name": name,
        "argv": [str(word) for word in argv],
        "env": {"PATH": _path(context), "HOME": "/root", **(environment or {})},
        "log": str(logs / f"{name}.log"),
        "waits_for": list(waits_for),
        "stop_seconds": stop_seconds,
        "files": contents,
    }


def host_ports(context: Context) -> list[tuple[Any, int]]:
    """Return the addresses and ports on which the host's processes will listen, the registry's first."""
    own, bridge = context.addresses.loopback, context.addresses.host
    loopback = type(own)("127.0.0.1")
    return [
        (loopback, context.state.registry_port),
        (bridge, API_PORT),
        (bridge, REGISTRY_PORT),
        *((own, port) for port in (ETCD_PORT, ETCD_PEER_PORT, CONTROLLER_MANAGER_PORT, SCHEDULER_PORT)),
    ]


def write_kubeconfigs(context: Context) -> None:
    """Write every kubeconfig: the user's, and one for each part of the cluster."""
    kubeconfig.write(context.paths.kubeconfig, context.pki, context.server, "admin", context.context_name)
    users = ["controller-manager", "scheduler", "proxy", "network-policy", "volume-provisioner"]
    users += [f"kubelet-worker-{number}" for number in context.state.workers]
    for user in users:
        kubeconfig.write(_kubeconfig(context, user), context.pki, context.server, user, context.context_name)


def _kubeconfig(context: Context, user: str) -> Path:
    return context.paths.config / f"{user}.kubeconfig"


def write_host_list(context: Context, volume_image: str) -> None:
    """Write the list of the host's processes, which the supervisor reads."""
    context.paths.logs.mkdir(parents=True, exist_ok=True)
    processes = [
        *_registry(context),
        _builder(context),
        _etcd(context),
        _api_server(context),
        _controller_manager(context),
        _scheduler(context),
        _volume_provisioner(context, volume_image),
        *(_worker(context, number) for number in context.state.workers),
    ]
    document = {
        "status": str(context.paths.status),
        "cgroup_procs": cgroups.procs_files(f"{context.cgroup}/system"),
        "prepare": [],
        "processes": processes,
    }
    write_atomically(context.paths.processes, json.dumps(document, indent=1))


def _registry(context: Context) -> list[Process]:
    bridge, config = context.addresses.host, context.paths.config / "registry.yaml"
    secret = context.paths.images / "registry-secret"
    if not secret.exists():
        write_atomically(secret, os.urandom(16).hex())
    document = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(context.paths.images / "registry")},
            "delete": {"enabled": True},
        },
        # Uploads that begin at one cluster's registry may go on at another's: see forward.py.
        "http": {"addr": f"{bridge}:{REGISTRY_PORT}", "secret": secret.read_text()},
    }
    write_atomically(config, yaml.safe_dump(document))
    port = str(context.state.registry_port)
    forward = isolated_python(
        context.paths.root / "forward.py", "127.0.0.1", port, str(bridge), str(REGISTRY_PORT)
    )
    return [
        _process(
            context,
            "registry",
            [context.tools["registry"], "serve", config],
            context.paths.logs,
            environment={"OTEL_TRACES_EXPORTER": "none"},
            files=[config],
        ),
        _process(context, "registry-loopback", forward, context.paths.logs),
    ]


def _builder(context: Context) -> Process:
    """BuildKit, in namespaces of its own that take its mounts with them; builds use the host's network."""
    config, state = context.paths.config / "buildkitd.toml", context.paths.images / "builder" / context.name
    state.mkdir(parents=True, exist_ok=True)
    value = {
        "root": json.dumps(str(state)),
        "socket": json.dumps(f"unix://{context.paths.builder_socket}"),
        "runc": json.dumps(str(context.tools["runc"])),
        "cgroup": json.dumps(f"/{context.cgroup}/builds"),
        "registry": json.dumps(context.registry),
    }
    write_atomically(
        config,
        f"""root = {value["root"]}

[grpc]
  address = [{value["socket"]}]

[worker.oci]
  enabled = true
  binary = {value["runc"]}
  networkMode = "host"
  defaultCgroupParent = {value["cgroup"]}
  gc = true
  maxUsedSpace = "{BUILD_CACHE}"

[worker.containerd]
  enabled = false

[registry.{value["registry"]}]
  http = true
""",
    )
    unshare = ["/usr/bin/unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL"]
    return _process(
        context,
        "builder",
        [*unshare, context.tools["catatonit"], "--", context.tools["buildkitd"], "--config", config],
        context.paths.logs,
        stop_seconds=0,
        environment={"OTEL_TRACES_EXPORTER": "none"},
        files=[config],
    )


def _etcd(context: Context) -> Process:
    pki = context.pki
    context.paths.etcd.mkdir(mode=0o700, parents=True, exist_ok=True)
    client = f"https://{context.addresses.loopback}:{ETCD_PORT}"
    peer = f"https://{context.addresses.loopback}:{ETCD_PEER_PORT}"
    argv = [
        context.tools["etcd"],
        f"--name={context.name}",
        f"--data-dir={context.paths.etcd}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster={context.name}={peer}",
        "--client-cert-auth=true",
        f"--trusted-ca-file={pki.certificate('etcd-ca')}",
        f"--cert-file={pki.certificate('etcd-server')}",
        f"--key-file={pki.key('etcd-server')}",
        "--peer-client-cert-auth=true",
        f"--peer-trusted-ca-file={pki.certificate('etcd-ca')}",
        f"--peer-cert-file={pki.certificate('etcd-server')}",
        f"--peer-key-file={pki.key('etcd-server')}",
        # A member alone has nobody to wait for before it elects itself.
        "--heartbeat-interval=20",
        "--election-timeout=200",
        "--log-level=warn",
    ]
    return _process(context, "etcd", argv, context.paths.logs, files=[pki.certificate("etcd-server")])


def _api_server(context: Context) -> Process:
    pki, addresses = context.pki, context.addresses
    argv = [
        context.tools["kube-apiserver"],
        f"--bind-address={addresses.host}",
        f"--advertise-address={addresses.host}",
        f"--secure-port={API_PORT}",
        f"--etcd-servers=https://{addresses.loopback}:{ETCD_PORT}",
        f"--etcd-cafile={pki.certificate('etcd-ca')}",
        f"--etcd-certfile={pki.certificate('etcd-client')}",
        f"--etcd-keyfile={pki.key('etcd-client')}",
        f"--client-ca-file={pki.certificate('cluster-ca')}",
        f"--tls-cert-file={pki.certificate('apiserver')}",
        f"--tls-private-key-file={pki.key('apiserver')}",
        "--tls-min-version=VersionTLS12",
        f"--kubelet-certificate-authority={pki.certificate('cluster-ca')}",
        f"--kubelet-client-certificate={pki.certificate('apiserver-kubelet-client')}",
        f"--kubelet-client-key={pki.key('apiserver-kubelet-client')}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-issuer=https://kubernetes.default.svc.{CLUSTER_DOMAIN}",
        f"--service-account-key-file={pki.folder / 'service-account.pub'}",
        f"--service-account-signing-key-file={pki.key('service-account')}",
        f"--service-cluster-ip-range={addresses.service_network}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--anonymous-auth=false",
        "--allow-privileged=true",
        "--profiling=false",
        f"--requestheader-client-ca-file={pki.certificate('front-proxy-ca')}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={pki.certificate('front-proxy-client')}",
        f"--proxy-client-key-file={pki.key('front-proxy-client')}",
        # No kube-proxy runs on the host: aggregated APIs are reached at their pods.
        "--enable-aggregator-routing=true",
    ]
    return _process(
        context,
        "kube-apiserver",
        argv,
        context.paths.logs,
        waits_for=[f"tcp:{addresses.loopback}:{ETCD_PORT}"],
        files=[pki.certificate("apiserver"), pki.certificate("cluster-ca")],
    )


def _serving(context: Context, name: str, port: int) -> list[str]:
    """Return the options of a part of the control plane that is reached on the host's loopback only."""
    config = _kubeconfig(context, name)
    return [
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        f"--bind-address={context.addresses.loopback}",
        f"--secure-port={port}",
        f"--tls-cert-file={context.pki.certificate(name)}",
        f"--tls-private-key-file={context.pki.key(name)}",
        "--leader-elect=false",
        "--profiling=false",
    ]


def _api_is_up(context: Context) -> str:
    return f"tcp:{context.addresses.host}:{API_PORT}"


def _api_was_ready(context: Context) -> list[str]:
    """Return what a client waits for that would be refused before the first roles are there.

    Started earlier, it would be refused and then pause for longer than it takes.
    """
    return [f"file:{context.paths.api_was_ready}", _api_is_up(context)]


def _controller_manager(context: Context) -> Process:
    pki = context.pki
    argv = [
        context.tools["kube-controller-manager"],
        *_serving(context, "controller-manager", CONTROLLER_MANAGER_PORT),
        f"--root-ca-file={pki.certificate('cluster-ca')}",
        f"--service-account-private-key-file={pki.key('service-account')}",
        f"--cluster-signing-cert-file={pki.certificate('cluster-ca')}",
        f"--cluster-signing-key-file={pki.key('cluster-ca')}",
        "--use-service-account-credentials=true",
        "--allocate-node-cidrs=false",
        # It asks for a token per controller when it starts; the usual 20 a second would take it seconds.
        "--kube-api-qps=300",
        "--kube-api-burst=600",
        # Everything is on one machine: a node that is silent for so long is gone.
        "--node-monitor-period=2s",
        "--node-monitor-grace-period=20s",
    ]
    return _process(
        context,
        "kube-controller-manager",
        argv,
        context.paths.logs,
        waits_for=_api_was_ready(context),
        files=[_kubeconfig(context, "controller-manager")],
    )


def _scheduler(context: Context) -> Process:
    return _process(
        context,
        "kube-scheduler",
        [context.tools["kube-scheduler"], *_serving(context, "scheduler", SCHEDULER_PORT)],
        context.paths.logs,
        waits_for=_api_was_ready(context),
        files=[_kubeconfig(context, "scheduler")],
    )


def _volume_provisioner(context: Context, image: str) -> Process:
    config = context.paths.config / "volumes.json"
    everywhere = {"node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": ["/var/lib/volumes"]}
    write_atomically(config, json.dumps({"nodePathMap": [everywhere]}))
    template = Template(Path(__file__).with_name("data").joinpath("volume-helper-pod.yaml").read_text())
    pod = context.paths.config / "volume-helper-pod.yaml"
    write_atomically(pod, template.substitute(image=image))
    argv = [
        context.tools["local-path-provisioner"],
        "start",
        f"--kubeconfig={_kubeconfig(context, 'volume-provisioner')}",
        f"--config={config}",
        f"--namespace={SYSTEM_NAMESPACE}",
        "--configmap-name=volume-provisioner",
        "--service-account-name=volume-provisioner",
        f"--helper-image={image}",
        f"--helper-pod-file={pod}",
    ]
    return _process(
        context,
        "volume-provisioner",
        argv,
        context.paths.logs,
        waits_for=_api_was_ready(context),
        files=[_kubeconfig(context, "volume-provisioner"), config, pod],
    )


def _worker(context: Context, number: int) -> Process:
    """A worker: a supervisor of its own that is PID 1 in namespaces of its own."""
    unshare = ["/usr/bin/unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork"]
    listed = context.paths.worker(number) / "processes.json"
    init = isolated_python(context.paths.root / "supervisor.py", str(listed))
    argv = [*unshare, "--kill-child=SIGKILL", "--propagation", "private", *init]
    # When its first process is killed, the kernel ends everything that is in the worker.
    return _process(context, f"worker-{number}", argv, context.paths.logs, stop_seconds=0)


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
    return _process(
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
        f"--kubeconfig={_kubeconfig(context, f'kubelet-{name}')}",
        f"--hostname-override={name}",
        f"--node-ip={context.addresses.worker(number)}",
        f"--node-labels={labels}",
    ]
    return _process(
        context,
        "kubelet",
        argv,
        folder / "var-log",
        waits_for=[f"unix:{CONTAINERD_SOCKET}", _api_is_up(context)],
        files=[config, _kubeconfig(context, f"kubelet-{name}"), pki.certificate(f"kubelet-{name}-server")],
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
        "clientConnection": {"kubeconfig": str(_kubeconfig(context, "proxy"))},
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
    return _process(
        context,
        "kube-proxy",
        [context.tools["kube-proxy"], f"--config={config}"],
        folder / "var-log",
        waits_for=_api_was_ready(context),
        files=[config, _kubeconfig(context, "proxy")],
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
        f"--kubeconfig={_kubeconfig(context, 'network-policy')}",
        f"--hostname-override=worker-{number}",
        f"--service-cluster-ip-range={context.addresses.service_network}",
    ]
    return _process(
        context,
        "network-policy",
        argv,
        context.paths.worker(number) / "var-log",
        waits_for=_api_was_ready(context),
        files=[_kubeconfig(context, "network-policy")],
    )
