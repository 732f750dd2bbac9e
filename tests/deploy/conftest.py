"""A tiny project for the real engine: two resources that need no cluster, one of them slow when told so."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from groundplan import toolchain
from groundplan.deploy.settings import DeploySettings

PROGRAM = """
import time
import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider

class Sleeps(ResourceProvider):
    def create(self, props):
        open(props["mark"], "a").write(props["name"] + "\\n")
        time.sleep(float(props["seconds"]))
        if props["fails"]:
            raise Exception("the disk of this resource is full")
        return CreateResult("id-" + props["name"], props)

class Sleeper(Resource):
    def __init__(self, name, seconds, fails=False, opts=None):
        props = {"name": name, "seconds": seconds, "mark": config.require("mark"), "fails": fails}
        super().__init__(Sleeps(), name, props, opts)

config = pulumi.Config()
first = Sleeper("first", 0)
Sleeper("second", config.get_float("seconds") or 0, config.get_bool("fails") or False,
        pulumi.ResourceOptions(depends_on=[first]))
pulumi.export("address", "http://127.0.0.1:1")
"""


@pytest.fixture(scope="session")
def engine_folder() -> Path:
    """The folder with the engine, obtained when it is missing."""
    toolchain.ensure("pulumi", "pulumi-language-python")
    return toolchain.bin_directory()


@pytest.fixture
def settings(
    tmp_path: Path, engine_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DeploySettings]:
    for name in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE", "PULUMI_BACKEND_URL"):
        monkeypatch.delenv(name, raising=False)
    project = tmp_path / "project"
    (project / "program").mkdir(parents=True)
    (project / "program" / "__main__.py").write_text(PROGRAM)
    options = {"toolchain": "pip", "virtualenv": sys.prefix}
    (project / "Pulumi.yaml").write_text(
        yaml.safe_dump({"name": "tiny", "main": "program", "runtime": {"name": "python", "options": options}})
    )
    mark = tmp_path / "created"
    (project / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": {"tiny:mark": str(mark)}}))
    yield DeploySettings(
        project=project,
        stack="dev",
        state=tmp_path / "pulumi",
        tools=(engine_folder,),
        generate_passphrase=True,
    )
    shutil.rmtree(tmp_path, ignore_errors=True)
