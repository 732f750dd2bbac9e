"""The real Pulumi engine for tests: a project of its own, a file backend, no cluster."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundplan.toolchain import ensure, search_path

REPOSITORY = Path(__file__).parents[2]
PACK = REPOSITORY / "policy"
PROGRAM = Path(__file__).parent / "program" / "__main__.py"


def engine_env(folder: Path) -> dict[str, str]:
    """Environment of a Pulumi that keeps everything below `folder` and reaches no cluster."""
    ensure("pulumi", "pulumi-language-python", "pulumi-resource-kubernetes")
    state = folder / "state"
    state.mkdir(parents=True, exist_ok=True)
    return {
        **os.environ,
        "PATH": search_path(),
        "PULUMI_HOME": str(folder / "pulumi-home"),
        "PULUMI_BACKEND_URL": f"file://{state}",
        "PULUMI_CONFIG_PASSPHRASE": "made up for tests",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }


@dataclass(frozen=True)
class Answer:
    """What the engine said."""

    code: int
    text: str


@dataclass(frozen=True)
class Engine:
    """A Pulumi project whose stack is a list of manifests."""

    folder: Path
    env: dict[str, str]

    @classmethod
    def start(cls, folder: Path) -> "Engine":
        """Make the project and its stack `test`."""
        project = folder / "project"
        project.mkdir(parents=True)
        options = {"toolchain": "pip", "virtualenv": sys.prefix}
        settings = {"name": "policed", "runtime": {"name": "python", "options": options}}
        (project / "Pulumi.yaml").write_text(json.dumps(settings))
        (project / "__main__.py").write_text(PROGRAM.read_text())
        engine = cls(project, engine_env(folder))
        made = engine.run("stack", "init", "test")
        assert made.code == 0, made.text
        return engine

    def run(self, *arguments: str) -> Answer:
        """Run one Pulumi command."""
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive", "--color=never"],
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        return Answer(done.returncode, done.stdout)

    def deploys(self, manifests: list[dict[str, Any]]) -> None:
        """Choose what the program deploys."""
        (self.folder / "stack.json").write_text(json.dumps(manifests))

    def preview(self, *arguments: str) -> Answer:
        """Preview with the policy pack."""
        return self.run("preview", "--policy-pack", str(PACK), *arguments)
