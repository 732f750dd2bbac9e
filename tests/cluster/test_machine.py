import json
import os
import socket
import subprocess
import sys
from ipaddress import IPv4Address
from pathlib import Path

import psutil
import pytest

from groundplan.cluster import machine
from groundplan.cluster.processes import isolated_python, packaged_script
from groundplan.cluster.worker import reserved, resolver_text
from groundplan.errors import ClusterError

LOOPBACK = IPv4Address("127.0.0.1")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def test_a_taken_port_is_an_error_that_names_the_port_and_the_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ClusterError) as caught:
            machine.check_ports([(LOOPBACK, port)])
    text = str(caught.value)
    assert f"127.0.0.1:{port}" in text
    assert f"process {os.getpid()}" in text
    assert "--registry-port" in text


def test_a_port_that_something_holds_on_every_address_is_taken() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server, pytest.raises(ClusterError):  # noqa: S104
        machine.check_ports([(IPv4Address("127.30.7.1"), server.getsockname()[1])])


def test_a_port_on_another_address_is_free() -> None:
    with socket.create_server(("127.0.0.2", 0)) as server:
        machine.check_ports([(LOOPBACK, server.getsockname()[1])])


def test_another_cluster_may_hold_the_registry_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    forward = subprocess.Popen(
        isolated_python(packaged_script("forward.py"), "127.0.0.1", str(port), "127.0.0.1", "9")
    )
    try:
        while not any(c.status == psutil.CONN_LISTEN for c in psutil.Process(forward.pid).net_connections()):
            assert forward.poll() is None
        machine.check_ports([(LOOPBACK, port)])
    finally:
        forward.terminate()
        forward.wait()


@needs_root
def test_this_machine_will_do(tmp_path: Path) -> None:
    machine.check(tmp_path)


@needs_root
def test_a_folder_that_workers_cover_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "COVERED", (tmp_path,))
    with pytest.raises(ClusterError, match="replaces by its own") as caught:
        machine.check(tmp_path / "home")
    assert "GROUNDPLAN_HOME" in str(caught.value)


@needs_root
def test_a_nearly_full_disk_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "LEAST_FREE_BYTES", 2**60)
    with pytest.raises(ClusterError, match="the disk is nearly full"):
        machine.check(tmp_path)


@needs_root
def test_a_missing_kernel_feature_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trials = {"bridges": "ip link add trial type bridge", "flying": "ip link add trial type carpet"}
    monkeypatch.setattr(machine, "_TRIALS", trials)
    with pytest.raises(ClusterError, match="the kernel lacks flying"):
        machine.check(tmp_path)


@needs_root
def test_lacking_capabilities_are_named_and_nothing_hangs(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from groundplan.cluster import machine\n"
        f"machine.check(Path({str(tmp_path)!r}))"
    )
    command = ["setpriv", "--bounding-set=-sys_admin,-mknod", "--inh-caps=-all", sys.executable, "-c", script]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode != 0
    assert "CAP_SYS_ADMIN, CAP_MKNOD" in run.stderr


@needs_root
def test_without_root_the_first_thing_said_is_that_root_is_needed(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    if os.fork() == 0:
        os.setuid(65534)
        try:
            machine.check(tmp_path)
        except ClusterError as error:
            os._exit(0 if "needs root" in error.what else 2)
        os._exit(3)
    _, status = os.wait()
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_workers_together_promise_no_more_than_the_machine_has(workers: int) -> None:
    facts = machine.Machine(cpus=4, memory_bytes=8 * 2**30, may_raise_priority=False, overlay=True)
    kept = reserved(facts, workers)
    cpus = workers * (4 - int(kept["cpu"].removesuffix("m")) / 1000)
    memory = workers * (8 * 1024 - int(kept["memory"].removesuffix("Mi")) - 100)
    assert 3.7 < cpus <= 4
    assert 6 * 1024 < memory <= 8 * 1024


def test_name_servers_on_loopback_are_left_out_since_pods_have_one_of_their_own() -> None:
    text = "search example.org\nnameserver 127.0.0.53\nnameserver ::1\nnameserver 192.0.2.53\n"
    assert resolver_text(text) == "search example.org\nnameserver 192.0.2.53\n"


def test_several_problems_are_told_at_once() -> None:
    with pytest.raises(ClusterError) as caught:
        machine.raise_problems([machine.Problem("one"), machine.Problem("two", value=json.dumps([2]))])
    assert "- one" in str(caught.value)
    assert "- two" in str(caught.value)
