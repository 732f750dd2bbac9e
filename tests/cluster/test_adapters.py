import os
from pathlib import Path

import pytest
import yaml

from groundplan.cluster import ClusterConfig, Embedded, EmbeddedCluster, Existing, Kind, adapter_for
from groundplan.errors import ClusterError


def test_a_cluster_of_the_users_own_is_used_only_when_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/somewhere/else")
    assert isinstance(adapter_for(), Embedded)
    assert adapter_for(kubeconfig=Path("/mine")) == Existing(Path("/mine"))
    assert isinstance(adapter_for(kind=True), Kind)


def test_naming_both_a_kubeconfig_and_kind_is_refused() -> None:
    with pytest.raises(ClusterError, match="both"):
        adapter_for(kubeconfig=Path("/mine"), kind=True)


def test_a_kubeconfig_that_is_not_there_is_told_before_anything_is_started(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="there is no such kubeconfig"):
        Existing(tmp_path / "none").up()


def test_kind_gets_one_zone_per_worker() -> None:
    document = yaml.safe_load(Kind(ClusterConfig("a", workers=3)).document())
    zones = [node["labels"]["topology.kubernetes.io/zone"] for node in document["nodes"][1:]]
    assert zones == ["zone-1", "zone-2", "zone-3"]


def test_without_docker_kind_says_what_to_use_instead(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterError, match="embedded cluster"):
        Kind(ClusterConfig()).up()


def test_a_docker_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, text in (("docker", "echo no daemon >&2; exit 1"), ("kind", "exit 0")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    with pytest.raises(ClusterError, match="no daemon"):
        Kind(ClusterConfig()).up()


@pytest.mark.e2e
def test_a_named_cluster_is_reached_with_its_current_context(cluster: EmbeddedCluster) -> None:
    reached = Existing(cluster.kubeconfig).up()
    assert reached.context == "groundplan-test"
    with pytest.raises(ClusterError, match="no such context"):
        Existing(cluster.kubeconfig, "other").up()
