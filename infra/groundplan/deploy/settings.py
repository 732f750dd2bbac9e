"""What a deployment works with: project, stack, cluster, tools, state and passphrase."""

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from groundplan.errors import DeployError

# Pulumi's settings that name a folder, relative to the project's
_PATHS_IN_OPTIONS = ("virtualenv",)

ADOPT = {"PULUMI_K8S_ENABLE_PATCH_FORCE": "true"}
"""Lets the Kubernetes provider take over fields of resources that it finds in its way."""


@dataclass(frozen=True)
class DeploySettings:
    """Where a stack comes from and where it goes.

    project: folder with Pulumi.yaml and Pulumi.<stack>.yaml; it is never written to.
    state: folder for the engine's home, its state, passphrase and a working copy of the project's settings.
    kubeconfig, context: the cluster; context None is the file's current one.
    tools: folders with the engine and its plugins, put before PATH.
    policy_packs: folders of policy packs that can refuse a preview.
    generate_passphrase: make a passphrase, readable by this user alone, where none is given.
    cluster_id: identity of a cluster that takes its contents along when it goes; state of an earlier one is
        then forgotten. None: state is never forgotten.
    environment, config: added to the engine's environment and to the stack's configuration.
    """

    project: Path
    stack: str
    state: Path
    kubeconfig: Path | None = None
    context: str | None = None
    tools: tuple[Path, ...] = ()
    policy_packs: tuple[Path, ...] = ()
    generate_passphrase: bool = False
    cluster_id: str | None = None
    environment: MappingProxyType[str, str] = field(default_factory=lambda: MappingProxyType({}))
    config: MappingProxyType[str, str] = field(default_factory=lambda: MappingProxyType({}))


def program_folder(project: Path) -> Path:
    """The folder of a project's program. Raises DeployError where there is no project."""
    file = project / "Pulumi.yaml"
    if not file.exists():
        raise DeployError(
            "There is no Pulumi project",
            str(project),
            fix="Run this in the checkout, or name it with --project.",
        )
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return (project / str(content.get("main", "."))).resolve()


def spec_file(project: Path, stack: str) -> Path:
    """Where the spec of a stack is, beside its program."""
    return program_folder(project) / f"{stack}.yaml"


def known_stacks(project: Path) -> list[str]:
    """Names of the stacks that a project has a spec or settings for."""
    settings = {path.name.split(".")[1] for path in project.glob("Pulumi.?*.yaml")}
    specs = {path.stem for path in program_folder(project).glob("*.yaml") if "." not in path.stem}
    return sorted(settings | specs - {"Pulumi"})


def require_stack(project: Path, stack: str) -> None:
    """Raise DeployError for a stack that a project doesn't have, and where there is no project."""
    stacks = known_stacks(project)
    if stack not in stacks:
        raise DeployError("There is no such stack", str(project), stack, "one of " + ", ".join(stacks))


def engine_environment(settings: DeploySettings) -> dict[str, str]:
    """The engine's environment beyond this process's own. Raises DeployError without a passphrase."""
    path = os.pathsep.join([*(str(folder) for folder in settings.tools), os.environ.get("PATH", os.defpath)])
    environment = {
        "PATH": path,
        "PULUMI_HOME": str(settings.state),
        "PULUMI_BACKEND_URL": os.environ.get("PULUMI_BACKEND_URL") or f"file://{settings.state / 'state'}",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        **_passphrase(settings),
        **settings.environment,
    }
    if settings.kubeconfig:
        environment["KUBECONFIG"] = str(settings.kubeconfig)
    return environment


def _passphrase(settings: DeploySettings) -> dict[str, str]:
    if any(os.environ.get(name) is not None for name in _PASSPHRASE_VARIABLES):
        return {}
    if not settings.generate_passphrase:
        raise DeployError(
            "There is no passphrase to protect the stack's secrets with",
            f"stack {settings.stack}",
            fix=f"Set {_PASSPHRASE_VARIABLES[0]}, or {_PASSPHRASE_VARIABLES[1]} to a file that holds it.",
        )
    file = settings.state / "passphrase"
    if not file.exists():
        settings.state.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(".new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(secrets.token_urlsafe(32))
        draft.rename(file)  # whole or not at all: a half-written one would lock the state's secrets
    return {_PASSPHRASE_VARIABLES[1]: str(file)}


_PASSPHRASE_VARIABLES = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")


def working_copy(settings: DeploySettings) -> Path:
    """Copy the project's settings into the state's folder, where the engine may add to them; the program
    itself stays where it is. Returns the copy's folder.

    Raises DeployError for a folder without a project and for a stack without settings.
    """
    require_stack(settings.project, settings.stack)
    project_file = settings.project / "Pulumi.yaml"
    project: dict[str, Any] = yaml.safe_load(project_file.read_text(encoding="utf-8"))
    folder = settings.state / "projects" / str(project["name"])
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "Pulumi.yaml", _with_absolute_paths(project, settings.project))
    stack_file = settings.project / f"Pulumi.{settings.stack}.yaml"
    stack: dict[str, Any] = {}
    if stack_file.exists():
        stack = yaml.safe_load(stack_file.read_text(encoding="utf-8")) or {}
    config: dict[str, Any] = {**(stack.get("config") or {}), **settings.config}
    if settings.context:
        config["kubernetes:context"] = settings.context
    copy = folder / stack_file.name
    salt = "encryptionsalt"
    if salt not in stack and copy.exists():
        before = yaml.safe_load(copy.read_text(encoding="utf-8")) or {}
        stack |= {salt: before[salt]} if salt in before else {}
    _write(copy, stack | ({"config": config} if config else {}))
    return folder


def _with_absolute_paths(project: dict[str, Any], root: Path) -> dict[str, Any]:
    def absolute(path: str) -> str:
        return str((root / path).resolve())

    result = dict(project)
    result["main"] = absolute(project.get("main", "."))
    runtime = project["runtime"]
    if isinstance(runtime, dict):
        options = dict(runtime.get("options", {}))
        options |= {name: absolute(options[name]) for name in _PATHS_IN_OPTIONS if name in options}
        result["runtime"] = runtime | {"options": options}
    packages: dict[str, Any] = project.get("packages", {})
    if packages:
        result["packages"] = {
            name: absolute(source) if isinstance(source, str) and source.startswith(".") else source
            for name, source in packages.items()
        }
    return result


def _write(path: Path, content: dict[str, Any]) -> None:
    text = yaml.safe_dump(content, sort_keys=False)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
