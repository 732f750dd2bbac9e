import re

import pytest
from typer.testing import CliRunner

from groundplan.cli.cluster import app
from groundplan.cluster import EmbeddedCluster
from groundplan.errors import ClusterError

RUNNER = CliRunner()


def test_the_status_of_a_cluster_that_does_not_exist_says_how_to_make_one() -> None:
    result = RUNNER.invoke(app, ["status", "--name", "nowhere"])
    assert result.exit_code == 1
    assert "groundplan cluster up" in result.stdout


def test_the_kubeconfig_of_a_cluster_that_does_not_exist_is_an_error() -> None:
    result = RUNNER.invoke(app, ["kubeconfig", "--name", "nowhere"])
    assert isinstance(result.exception, ClusterError)


@pytest.mark.e2e
def test_a_running_cluster_is_shown_with_its_nodes_and_processes(cluster: EmbeddedCluster) -> None:
    result = RUNNER.invoke(app, ["status", "--name", cluster.name], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.stdout
    assert re.search(r"worker-2\s.*zone-2\s.*yes", result.stdout)
    assert re.search(r"worker-1/kubelet\s.*running", result.stdout)


@pytest.mark.e2e
def test_only_results_go_to_standard_output(cluster: EmbeddedCluster) -> None:
    result = RUNNER.invoke(app, ["kubeconfig", "--name", cluster.name])
    assert result.stdout == f"{cluster.kubeconfig}\n"


@pytest.mark.e2e
def test_the_exit_code_of_a_command_in_a_worker_is_passed_on(cluster: EmbeddedCluster) -> None:
    assert RUNNER.invoke(app, ["exec", "--name", cluster.name, "worker-1", "--", "false"]).exit_code == 1
    assert RUNNER.invoke(app, ["exec", "--name", cluster.name, "worker-1", "--", "true"]).exit_code == 0
