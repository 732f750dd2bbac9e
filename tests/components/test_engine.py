"""The components in the real engine: their schema, and programs in Python and YAML, without a cluster."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from groundplan.toolchain import ensure, search_path
from pulumi_groundplan.host import COMPONENTS, Provider

EXAMPLES = Path(__file__).parents[2] / "examples"
TOOLS = ("pulumi", "pulumi-language-python", "pulumi-language-yaml", "pulumi-resource-kubernetes")


@dataclass(frozen=True)
class Engine:
    """The real engine, with the components as a plugin on its path and state of its own."""

    folder: Path
    plugin: Path

    def run(self, project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one command in a project's folder."""
        state = self.folder / "state"
        state.mkdir(exist_ok=True)
        environment = {
            **os.environ,
            "PATH": f"{self.plugin.parent}{os.pathsep}{search_path()}",
            "PULUMI_HOME": str(self.folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{state}",
            "PULUMI_CONFIG_PASSPHRASE": "made up for tests",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            # no cluster: previews work from what the program says
            "KUBECONFIG": str(self.folder / "none"),
        }
        return subprocess.run(
            ["pulumi", *arguments, "--non-interactive", "--color=never"],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def preview(self, source: Path, **config: str) -> subprocess.CompletedProcess[str]:
        """Preview a copy of a project."""
        project = self.folder / "projects" / source.name
        shutil.copytree(source, project)
        text = (project / "Pulumi.yaml").read_text()
        options = {"toolchain": "pip", "virtualenv": sys.prefix}
        runtime = json.dumps({"name": "python", "options": options})
        (project / "Pulumi.yaml").write_text(text.replace("runtime: python", f"runtime: {runtime}"))
        made = self.run(project, "stack", "init", "test")
        assert made.returncode == 0, made.stderr
        for name, value in config.items():
            self.run(project, "config", "set", name, value)
        return self.run(project, "preview", "--json")


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    ensure(*TOOLS)
    plugin = tmp_path / "bin" / "pulumi-resource-groundplan"
    plugin.parent.mkdir()
    serve = "from pulumi_groundplan.host import serve; serve()"
    plugin.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{serve}' \"$@\"\n")
    plugin.chmod(0o755)
    return Engine(tmp_path, plugin)


def planned(preview: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    """The new state of each resource that a preview makes, by its name."""
    assert preview.returncode == 0, preview.stdout + preview.stderr
    steps = json.loads(preview.stdout[preview.stdout.index("{") :])["steps"]
    return {step["urn"].rsplit("::", 1)[-1]: step["newState"] for step in steps}


def test_everything_in_the_schema_is_described() -> None:
    schema = json.loads(Provider().schema or "")
    assert set(schema["resources"]) == {f"groundplan:index:{component.__name__}" for component in COMPONENTS}
    silent = [
        f"{owner}.{field}"
        for owner, stated in {**schema["resources"], **schema["types"]}.items()
        for part in ("inputProperties", "properties")
        for field, property_ in stated.get(part, {}).items()
        if not property_.get("description")
    ]
    assert silent == []


@pytest.mark.engine
def test_the_engine_reads_the_schema(engine: Engine) -> None:
    answer = engine.run(engine.folder, "package", "get-schema", str(engine.plugin))
    assert answer.returncode == 0, answer.stderr
    web = json.loads(answer.stdout)["resources"]["groundplan:index:WebService"]
    assert set(web["requiredInputs"]) == {"health", "image", "namespace"}
    assert web["inputProperties"]["slo"]["$ref"] == "#/types/groundplan:index:Slo"


@pytest.mark.engine
def test_the_yaml_example_makes_the_same_resources_as_python_would(engine: Engine) -> None:
    resources = planned(engine.preview(EXAMPLES / "yaml"))
    deployment = resources["web-deployment"]["inputs"]
    assert deployment["spec"]["replicas"] == 3
    promise = json.loads(deployment["metadata"]["annotations"]["groundplan.dev/service"])
    assert promise["dispatch"] == "least-connections"
    assert promise["concurrency"] == 4
    assert promise["slo"] == {"availability": 0.999, "p95": 0.2}
    edge = json.loads(
        resources["edge-deployment"]["inputs"]["metadata"]["annotations"]["groundplan.dev/service"]
    )
    assert edge["load"] == {"arrival_rate": 50}
    assert edge["calls"] == [{"to": "web"}]


@pytest.mark.engine
def test_the_python_example_leaves_its_replicas_to_the_autoscaler(engine: Engine) -> None:
    image = "registry.test/any@sha256:" + "0" * 64
    resources = planned(engine.preview(EXAMPLES / "python", image=image, postgresqlImage=image))
    assert "replicas" not in resources["web-deployment"]["inputs"]["spec"]
    assert resources["web-autoscaler"]["inputs"]["spec"]["maxReplicas"] == 6
    # known before anything is made, so that the gate can judge it
    assert resources["web-deployment"]["inputs"]["metadata"]["namespace"] == "notes"
    assert "password" not in resources["database-credentials"]["inputs"].get("stringData", {})
    secret = json.dumps(resources["database-credentials"]["inputs"]["data"])
    assert "secret" in secret


@pytest.mark.engine
def test_a_mistake_in_a_yaml_program_is_explained(engine: Engine, tmp_path: Path) -> None:
    source = tmp_path / "mistaken"
    source.mkdir()
    text = (EXAMPLES / "yaml" / "Pulumi.yaml").read_text()
    (source / "Pulumi.yaml").write_text(re.sub(r"replicas: 3", "replicas: 1", text))
    answer = engine.preview(source)
    assert answer.returncode != 0
    assert "WebService web: replicas is too low, got 1, must be at least 2" in answer.stdout + answer.stderr
