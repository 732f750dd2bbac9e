"""The base image and the builder of the embedded cluster, used for real."""

import json
import os
import subprocess
from pathlib import Path

import httpx
import pytest

from groundplan import images
from groundplan.cluster import EmbeddedCluster
from groundplan.cluster.context import Paths
from groundplan.toolchain import find, home, search_path

pytestmark = pytest.mark.e2e


def settings(cluster: EmbeddedCluster) -> dict[str, str]:
    return images.image_settings(cluster.registry, Paths(cluster.name).builder_socket)


def test_the_base_image_is_made_once_and_named_by_its_digest(cluster: EmbeddedCluster) -> None:
    reference = images.ensure_base(cluster.registry)
    name, digest = reference.removeprefix(f"{cluster.registry}/").split("@")
    accept = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    answer = httpx.head(f"http://{cluster.registry}/v2/{name}/manifests/{digest}", headers=accept)
    assert answer.is_success
    record = home() / "images" / "base.json"
    before = record.stat().st_mtime_ns
    assert images.ensure_base(cluster.registry) == reference
    assert record.stat().st_mtime_ns == before


def test_the_builder_is_described_without_touching_the_users_docker_configuration(
    cluster: EmbeddedCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GROUNDPLAN_HOME", str(home()))
    environment = settings(cluster)
    described = Path(environment["BUILDX_CONFIG"]) / "instances" / environment["GROUNDPLAN_BUILDER_NAME"]
    assert json.loads(described.read_text())["Nodes"][0]["Endpoint"].endswith("buildkitd.sock")
    assert not (tmp_path / ".docker").exists()


def test_an_image_is_built_from_a_dockerfile_and_named_by_its_digest(
    cluster: EmbeddedCluster, tmp_path: Path
) -> None:
    """Through Pulumi's image provider, as a stack does it; a second preview has nothing to do."""
    environment = settings(cluster)
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\nRUN echo built >/made-here\n")
    (tmp_path / "Pulumi.yaml").write_text(
        json.dumps(
            {
                "name": "image",
                "runtime": "yaml",
                "resources": {
                    "made": {
                        "type": "docker-build:Image",
                        "properties": {
                            "context": {"location": "context"},
                            "buildArgs": {"BASE": environment["GROUNDPLAN_BASE"]},
                            "builder": {"name": images.BUILDER},
                            "tags": [f"{cluster.registry}/made:latest"],
                            "push": True,
                        },
                    }
                },
                "outputs": {"ref": "${made.ref}"},
            }
        )
    )
    engine = {
        **os.environ,
        **environment,
        "PATH": search_path(),
        "PULUMI_HOME": str(tmp_path / "pulumi"),
        "PULUMI_BACKEND_URL": f"file://{tmp_path}",
        "PULUMI_CONFIG_PASSPHRASE": "test",
    }

    def pulumi(*arguments: str) -> str:
        executable = find("pulumi")
        assert executable is not None
        run = subprocess.run(
            [executable, "--non-interactive", "--color=never", *arguments],
            cwd=tmp_path,
            env=engine,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    pulumi("stack", "init", "test")
    pulumi("up", "--yes", "--skip-preview")
    reference = pulumi("stack", "output", "ref").strip()
    assert reference.startswith(f"{cluster.registry}/made")
    assert "@sha256:" in reference
    assert "2 unchanged" in pulumi("preview")
