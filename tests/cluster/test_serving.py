"""What a running cluster does for those who use it."""

import functools
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from groundplan.cluster import ClusterConfig, EmbeddedCluster, logs, lose_worker, run_in_worker, status, up
from groundplan.cluster.images import push_scratch_image
from groundplan.errors import ClusterError
from tests.conftest import Kubectl

pytestmark = pytest.mark.e2e


def _wait(condition: Callable[[], bool], timeout_seconds: float, what: str) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.25)


def _pod(name: str, image: str, script: str, container: dict[str, Any] | None = None, **spec: object) -> str:
    main = {"name": "main", "image": image, "command": ["/bin/sh", "-c", script], **(container or {})}
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [main], "terminationGracePeriodSeconds": 0, **spec},
    }
    return json.dumps(manifest)


def _start(kubectl: Kubectl, namespace: str, manifest: str) -> None:
    kubectl("apply", "--namespace", namespace, "--filename=-", manifest=manifest)


def _ready(kubectl: Kubectl, namespace: str, pod: str) -> None:
    kubectl("wait", "--namespace", namespace, "--for=condition=Ready", f"pod/{pod}", "--timeout=60s")


def test_a_pod_finds_services_by_name(kubectl: Kubectl, namespace: str, shell_image: str) -> None:
    _start(kubectl, namespace, _pod("client", shell_image, "sleep 1000"))
    _ready(kubectl, namespace, "client")
    found = kubectl(
        "exec", "-n", namespace, "client", "--", "nslookup", "kubernetes.default.svc.cluster.local"
    )
    [service] = kubectl("get", "service", "kubernetes", "-o", "jsonpath={.spec.clusterIP}").split()
    assert f"Address: {service}" in found


def _web(kubectl: Kubectl, namespace: str, image: str) -> str:
    """Start a web server behind a Service, and return the Service's address."""
    script = "mkdir -p /tmp/www && echo hello > /tmp/www/index.html && exec httpd -f -p 8080 -h /tmp/www"
    probe = {"readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1}}
    _start(kubectl, namespace, _pod("web", image, script, container=probe))
    kubectl("expose", "-n", namespace, "pod/web", "--port=80", "--target-port=8080")
    _ready(kubectl, namespace, "web")
    return kubectl("get", "-n", namespace, "service/web", "-o", "jsonpath={.spec.clusterIP}")


def _fetches(kubectl: Kubectl, namespace: str, client: str, address: str) -> bool:
    # By address: a static C library can't look names up, and this wget can't count its own time.
    command = ("timeout", "1", "wget", "-q", "-O", "-", f"http://{address}")
    try:
        kubectl("exec", "-n", namespace, client, "--", *command)
    except AssertionError:
        return False
    return True


def test_a_forbidden_connection_fails_and_a_permitted_one_works(
    kubectl: Kubectl, namespace: str, shell_image: str
) -> None:
    address = _web(kubectl, namespace, shell_image)

    def gets_in(client: str) -> bool:
        return _fetches(kubectl, namespace, client, address)

    for node, name in (("worker-1", "friend"), ("worker-2", "stranger"), ("worker-2", "friend-2")):
        _start(kubectl, namespace, _pod(name, shell_image, "sleep 1000", nodeName=node))
    for name in ("friend", "stranger", "friend-2"):
        _ready(kubectl, namespace, name)
        _wait(functools.partial(gets_in, name), 20, f"{name} is let in without a policy")
    kubectl("label", "-n", namespace, "pod/friend", "pod/friend-2", "friend=yes")
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "friends"},
        "spec": {
            "podSelector": {"matchLabels": {"app": "web"}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"friend": "yes"}}}]}],
        },
    }
    _start(kubectl, namespace, json.dumps(policy))
    _wait(lambda: not gets_in("stranger"), 20, "the stranger is kept out")
    assert gets_in("friend")
    assert gets_in("friend-2")
    kubectl("delete", "-n", namespace, "networkpolicy/friends")
    _wait(lambda: gets_in("stranger"), 20, "the stranger is let in again")


def test_the_host_reaches_services_and_pods(kubectl: Kubectl, namespace: str, shell_image: str) -> None:
    address = _web(kubectl, namespace, shell_image)

    def answers() -> bool:
        try:
            return httpx.get(f"http://{address}", timeout=1, trust_env=False).text == "hello\n"
        except httpx.HTTPError:
            return False

    _wait(answers, 15, "the Service answers on the host")


def test_a_service_that_does_not_exist_is_refused_at_once(cluster: EmbeddedCluster) -> None:
    network = status(cluster.name).service_network
    assert network is not None
    started = time.monotonic()
    with pytest.raises(OSError, match=r"refused|unreachable"):
        socket.create_connection((network.split("/")[0].rsplit(".", 2)[0] + ".200.200", 80), timeout=5)
    assert time.monotonic() - started < 2


def test_a_volume_keeps_its_data_when_its_pod_is_replaced(
    kubectl: Kubectl, namespace: str, shell_image: str
) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Mi"}}},
    }
    mount = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    _start(kubectl, namespace, json.dumps(claim))
    write = _pod("writer", shell_image, "echo kept > /data/file; sync", container=mount, volumes=volumes,
                 restartPolicy="Never")  # fmt: skip
    _start(kubectl, namespace, write)
    kubectl(
        "wait", "-n", namespace, "--for=jsonpath={.status.phase}=Succeeded", "pod/writer", "--timeout=60s"
    )
    kubectl("delete", "-n", namespace, "pod/writer")
    read = _pod("reader", shell_image, "cat /data/file; sleep 1000", container=mount, volumes=volumes)
    _start(kubectl, namespace, read)
    _ready(kubectl, namespace, "reader")
    assert kubectl("logs", "-n", namespace, "pod/reader") == "kept\n"


def test_an_autoscaler_sees_the_load_and_acts_on_it(
    kubectl: Kubectl, namespace: str, shell_image: str
) -> None:
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "busy"},
        "spec": {
            "selector": {"matchLabels": {"app": "busy"}},
            "template": {
                "metadata": {"labels": {"app": "busy"}},
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "containers": [
                        {
                            "name": "main",
                            "image": shell_image,
                            "command": ["/bin/sh", "-c", "while :; do :; done"],
                            "resources": {"requests": {"cpu": "20m"}, "limits": {"cpu": "50m"}},
                        }
                    ],
                },
            },
        },
    }
    _start(kubectl, namespace, json.dumps(deployment))
    kubectl("autoscale", "-n", namespace, "deployment/busy", "--min=1", "--max=2", "--cpu=50%")
    scaled = ("-n", namespace, "deployment/busy", "-o", "jsonpath={.spec.replicas}")
    _wait(lambda: kubectl("get", *scaled) == "2", 120, "the autoscaler adds a replica")
    assert status("test").metrics


def test_a_pod_cannot_push_to_the_registry(
    cluster: EmbeddedCluster, kubectl: Kubectl, namespace: str, shell_image: str
) -> None:
    _start(kubectl, namespace, _pod("client", shell_image, "sleep 1000"))
    _ready(kubectl, namespace, "client")
    server = status(cluster.name).server
    assert server is not None
    registry = server.removeprefix("https://").replace("6443", "5000")
    assert httpx.get(f"http://{registry}/v2/", trust_env=False).status_code == 200
    assert not _fetches(kubectl, namespace, "client", f"{registry}/v2/")


def test_each_worker_is_a_zone_and_workers_share_the_machine(kubectl: Kubectl) -> None:
    nodes = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
    zones = {node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in nodes}
    assert zones == {"zone-1", "zone-2"}
    cpus = sum(float(node["status"]["allocatable"]["cpu"].removesuffix("m")) / 1000 for node in nodes)
    assert cpus <= (os.cpu_count() or 1)


def test_an_image_is_pulled_by_digest_and_another_digest_is_not_there(
    cluster: EmbeddedCluster, kubectl: Kubectl, namespace: str, shell_image: str
) -> None:
    _start(kubectl, namespace, _pod("right", shell_image, "sleep 1000"))
    _ready(kubectl, namespace, "right")
    used = kubectl(
        "get", "-n", namespace, "pod/right", "-o", "jsonpath={.status.containerStatuses[0].imageID}"
    )
    assert used == shell_image
    wrong = shell_image[:-8] + "00000000"
    _start(kubectl, namespace, _pod("wrong", wrong, "sleep 1000"))
    reason = (
        "-n",
        namespace,
        "pod/wrong",
        "-o",
        "jsonpath={.status.containerStatuses[0].state.waiting.reason}",
    )
    _wait(lambda: kubectl("get", *reason) in ("ErrImagePull", "ImagePullBackOff"), 30, "the pull fails")
    assert push_scratch_image(cluster.registry, "again", {"file": b"1"}, {}) == push_scratch_image(
        cluster.registry, "again", {"file": b"1"}, {}
    )


def test_nobody_gets_in_without_a_certificate(cluster: EmbeddedCluster) -> None:
    found = status(cluster.name)
    with pytest.raises(httpx.ConnectError, match="certificate"):
        httpx.get(f"{found.server}/version", trust_env=False)
    answer = httpx.get(f"{found.server}/api/v1/secrets", verify=False, trust_env=False)  # noqa: S501
    assert answer.status_code == 401
    kubelet = httpx.get(f"https://{found.nodes[0].address}:10250/pods", verify=False, trust_env=False)  # noqa: S501
    assert kubelet.status_code == 401


def test_a_kubelet_may_not_read_what_is_not_its_own(cluster: EmbeddedCluster, kubectl: Kubectl) -> None:
    config = cluster.kubeconfig.parent / "config" / "kubelet-worker-1.kubeconfig"
    with pytest.raises(AssertionError, match="Forbidden"):
        kubectl(f"--kubeconfig={config}", "label", "node/worker-2", "taken=over")


def test_a_second_up_changes_nothing_and_is_quick(cluster: EmbeddedCluster) -> None:
    before = {(p.worker, p.name): p.pid for p in status(cluster.name).processes}
    started = time.monotonic()
    assert up(ClusterConfig(cluster.name)) == cluster
    assert time.monotonic() - started < 5  # about one second on an idle machine
    assert {(p.worker, p.name): p.pid for p in status(cluster.name).processes} == before


@pytest.mark.parametrize("name", ["kube-scheduler", "etcd", "kubelet", "containerd"])
def test_a_component_that_was_killed_comes_back(cluster: EmbeddedCluster, name: str) -> None:
    def find() -> tuple[int | None, int]:
        processes = status(cluster.name).processes
        process = next(p for p in processes if p.name == name and p.worker in (None, "worker-1"))
        return process.pid, process.restarts

    pid, restarts = find()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    _wait(lambda: find()[1] == restarts + 1 and find()[0] not in (None, pid), 20, f"{name} is restarted")
    up(ClusterConfig(cluster.name))


def test_logs_of_a_process_are_at_hand_and_an_unknown_one_is_told(cluster: EmbeddedCluster) -> None:
    assert any("kubelet" in line.lower() for line in logs(cluster.name, "worker-1/kubelet"))
    with pytest.raises(ClusterError, match="worker-2/containerd"):
        logs(cluster.name, "nonsense")


def test_commands_run_inside_a_worker(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    assert run_in_worker(cluster.name, "worker-2", ["sh", "-c", "test $(hostname) = worker-2"]) == 0
    assert run_in_worker(cluster.name, "worker-2", ["sh", "-c", "exit 3"]) == 3
    with pytest.raises(ClusterError, match="worker-1, worker-2"):
        run_in_worker(cluster.name, "worker-9", ["true"])


def test_a_worker_touches_none_of_the_hosts_folders(cluster: EmbeddedCluster) -> None:
    for folder in ("/var/lib/kubelet", "/var/lib/containerd", "/run/containerd", "/run/cni", "/var/log/pods"):
        inside = run_in_worker(cluster.name, "worker-1", ["test", "-e", folder])
        assert inside == 0 or folder == "/run/cni", folder
    mounts = Path("/proc/self/mountinfo").read_text()
    assert str(cluster.kubeconfig.parent) not in mounts


def test_a_pod_moves_when_its_node_is_lost(
    cluster: EmbeddedCluster, kubectl: Kubectl, namespace: str, shell_image: str
) -> None:
    tolerations = [
        {
            "key": f"node.kubernetes.io/{why}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": 1,
        }
        for why in ("not-ready", "unreachable")
    ]
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "mover"},
        "spec": {
            "selector": {"matchLabels": {"app": "mover"}},
            "template": {
                "metadata": {"labels": {"app": "mover"}},
                "spec": {
                    "tolerations": tolerations,
                    "containers": [{"name": "main", "image": shell_image, "command": ["sleep", "1000"]}],
                },
            },
        },
    }
    kubectl("cordon", "worker-1")
    try:
        _start(kubectl, namespace, json.dumps(deployment))
        kubectl("rollout", "status", "-n", namespace, "deployment/mover", "--timeout=60s")
    finally:
        kubectl("uncordon", "worker-1")
    fields = "jsonpath={.items[?(@.status.phase=='Running')].spec.nodeName}"
    lose_worker(cluster.name, "worker-2")
    try:
        _wait(lambda: "worker-1" in kubectl("get", "-n", namespace, "pods", "-o", fields), 90, "it moves")
        ready = {node.name: node.ready for node in status(cluster.name).nodes}
        assert ready == {"worker-1": True, "worker-2": False}
    finally:
        up(ClusterConfig(cluster.name))
    _wait(lambda: all(node.ready for node in status(cluster.name).nodes), 30, "the worker is back")


def test_no_command_of_another_user_reads_a_key(cluster: EmbeddedCluster) -> None:
    for path in (cluster.kubeconfig, cluster.kubeconfig.parent / "pki" / "admin.key"):
        run = subprocess.run(
            ["setpriv", "--reuid=65534", "--clear-groups", "cat", str(path)], capture_output=True, check=False
        )
        assert run.returncode != 0
