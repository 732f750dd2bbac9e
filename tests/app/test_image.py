"""The image's inputs."""

import re
import subprocess

from tests.app.servers import APP

ROOT = APP.parent


def test_the_requirements_are_those_of_the_lock_file() -> None:
    export = [
        "uv",
        "export",
        "--only-group",
        "app",
        "--no-emit-project",
        "--frozen",
        "--no-header",
        "--offline",
    ]
    exported = subprocess.run(export, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert exported == (APP / "requirements.txt").read_text(encoding="utf-8"), (
        f"run: {' '.join(export)} > app/requirements.txt"
    )


def test_only_the_pure_parts_of_the_toolkit_are_copied_and_used() -> None:
    copied = set(re.findall(r"infra/groundplan/([\w.]+)", (APP / "Dockerfile").read_text(encoding="utf-8")))
    assert copied == {"__init__.py", "errors.py", "spec.py", "models"}
    used = {
        name.split(".")[0]
        for path in APP.rglob("*.py")
        for name in re.findall(r"from groundplan(?:\.([\w.]+))? import", path.read_text(encoding="utf-8"))
    }
    assert used == {"errors", "models", "spec"}


def test_what_the_builder_gets_is_listed() -> None:
    ignored = (APP / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[1] == "*", "everything is left out unless it is named"
    assert {"!app", "!infra/groundplan/models"} <= set(ignored)
