"""The processes on the host: the control plane, the registry, the builder, and one for each worker."""

import json
import os
from ipaddress import IPv4Address
from pathlib import Path
from string import Template

import yaml

from groundplan.cluster import cgroups
from groundplan.cluster.context import API_PORT, REGISTRY_PORT, Context
from groundplan.cluster.processes import (
    CLUSTER_DOMAIN,
    Process,
    api_was_ready,
    isolated_python,
    kubeconfig_of,
    process,
)
from groundplan.cluster.state import write_atomically

ETCD_PORT, ETCD_PEER_PORT = 2379, 2380
CONTROLLER_MANAGER_PORT, SCHEDULER_PORT = 10257, 10259
SYSTEM_NAMESPACE = "kube-system"
BUILD_CACHE = "4GB"


def host_ports(context: Context) -> list[tuple[IPv4Address, int]]:
    """Return the addresses and ports on which the host's processes will listen, the registry's first."""
    own, bridge = context.addresses.loopback, context.addresses.host
    loopback = IPv4Address("127.0.0.1")
    return [
        (loopback, context.state.registry_port),
        (bridge, API_PORT),
        (bridge, REGISTRY_PORT),
        *((own, port) for port in (ETCD_PORT, ETCD_PEER_PORT, CONTROLLER_MANAGER_PORT, SCHEDULER_PORT)),
    ]


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
        process(
            context,
            "registry",
            [context.tools["registry"], "serve", config],
            context.paths.logs,
            environment={"OTEL_TRACES_EXPORTER": "none"},
            files=[config],
        ),
        process(context, "registry-loopback", forward, context.paths.logs),
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
    return process(
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
    return process(context, "etcd", argv, context.paths.logs, files=[pki.certificate("etcd-server")])


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
    return process(
        context,
        "kube-apiserver",
        argv,
        context.paths.logs,
        waits_for=[f"tcp:{addresses.loopback}:{ETCD_PORT}"],
        files=[pki.certificate("apiserver"), pki.certificate("cluster-ca")],
    )


def _serving(context: Context, name: str, port: int) -> list[str]:
    """Return the options of a part of the control plane that is reached on the host's loopback only."""
    config = kubeconfig_of(context, name)
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
    return process(
        context,
        "kube-controller-manager",
        argv,
        context.paths.logs,
        waits_for=api_was_ready(context),
        files=[kubeconfig_of(context, "controller-manager")],
    )


def _scheduler(context: Context) -> Process:
    return process(
        context,
        "kube-scheduler",
        [context.tools["kube-scheduler"], *_serving(context, "scheduler", SCHEDULER_PORT)],
        context.paths.logs,
        waits_for=api_was_ready(context),
        files=[kubeconfig_of(context, "scheduler")],
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
        f"--kubeconfig={kubeconfig_of(context, 'volume-provisioner')}",
        f"--config={config}",
        f"--namespace={SYSTEM_NAMESPACE}",
        "--configmap-name=volume-provisioner",
        "--service-account-name=volume-provisioner",
        f"--helper-image={image}",
        f"--helper-pod-file={pod}",
    ]
    return process(
        context,
        "volume-provisioner",
        argv,
        context.paths.logs,
        waits_for=api_was_ready(context),
        files=[kubeconfig_of(context, "volume-provisioner"), config, pod],
    )


def _worker(context: Context, number: int) -> Process:
    """A worker: a supervisor of its own that is PID 1 in namespaces of its own."""
    unshare = ["/usr/bin/unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork"]
    listed = context.paths.worker(number) / "processes.json"
    init = isolated_python(context.paths.root / "supervisor.py", str(listed))
    argv = [*unshare, "--kill-child=SIGKILL", "--propagation", "private", *init]
    # When its first process is killed, the kernel ends everything that is in the worker.
    return process(context, f"worker-{number}", argv, context.paths.logs, stop_seconds=0)
