"""One embedded cluster for all end-to-end tests, beside any other on the machine, and a namespace each."""

import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from groundplan.cluster import ClusterConfig, EmbeddedCluster, down, up
from groundplan.cluster.images import push_scratch_image
from groundplan.cluster.system_images import static_busybox
from groundplan.toolchain import ensure, home

Kubectl = Callable[..., str]


@pytest.fixture(scope="session")
def cluster() -> Iterator[EmbeddedCluster]:
    """A cluster named `test` with two workers, taken down after the last test."""
    if os.geteuid() != 0:
        pytest.skip("the embedded cluster needs root")
    try:
        yield up(ClusterConfig("test", workers=2))
    finally:
        down("test")


@pytest.fixture(scope="session")
def kubectl(cluster: EmbeddedCluster) -> Kubectl:
    """Run kubectl against the test cluster and return what it prints; it raises when kubectl fails."""
    program = ensure("kubectl")["kubectl"]

    def run(*words: str, manifest: str | None = None, timeout_seconds: float = 120) -> str:
        command = [str(program), f"--kubeconfig={cluster.kubeconfig}", *words]
        done = subprocess.run(
            command, input=manifest, capture_output=True, text=True, timeout=timeout_seconds, check=False
        )
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}{done.stdout}"
        return done.stdout

    return run


@pytest.fixture
def namespace(kubectl: Kubectl) -> Iterator[str]:
    """A namespace of the test's own, removed with everything in it afterwards."""
    name = f"test-{secrets.token_hex(4)}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def shell_image(cluster: EmbeddedCluster) -> str:
    """An image with a shell, a web server and the usual small programs, for pods of tests."""
    busybox = static_busybox(home() / "tools" / "busybox")
    names = ("sh", "cat", "echo", "httpd", "mkdir", "nslookup", "sleep", "sync", "test", "timeout", "wget")
    files: dict[str, Path | bytes | str] = {
        "bin/busybox": busybox,
        **{f"bin/{name}": "busybox" for name in names},
    }
    return push_scratch_image(cluster.registry, "test-shell", files, {"Env": ["PATH=/bin"]})
