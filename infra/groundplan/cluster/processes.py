"""What every process of a cluster has in common: its description, its start, its access to the API server."""

import hashlib
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from groundplan.cluster import kubeconfig
from groundplan.cluster.context import API_PORT, Context
from groundplan.cluster.state import write_atomically

CLUSTER_DOMAIN = "cluster.local"
SCRIPTS = ("supervisor.py", "forward.py")
STANDARD_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")

Process = dict[str, Any]


def packaged_script(name: str) -> Path:
    """Return where groundplan holds one of its stand-alone scripts."""
    return Path(__file__).with_name(name)


def isolated_python(script: Path, *arguments: str) -> list[str]:
    """Return the command that runs a stand-alone script with a small interpreter.

    The interpreter is named by its real path, so that it is the same from every virtual environment.
    """
    return [str(Path(sys.executable).resolve()), "-I", "-S", "-B", str(script), *arguments]


def install_scripts(context: Context) -> None:
    """Copy the stand-alone scripts to the cluster, which may outlive the checkout that made it."""
    for name in SCRIPTS:
        write_atomically(context.paths.root / name, packaged_script(name).read_text())


def _path(context: Context) -> str:
    """Return a PATH that depends on the tools alone and not on the shell that `up` was called from."""
    folders = dict.fromkeys(str(path.parent) for path in context.tools.values())
    return os.pathsep.join([*folders, *STANDARD_FOLDERS])


def process(
    context: Context,
    name: str,
    argv: Iterable[object],
    logs: Path,
    *,
    waits_for: Iterable[str] = (),
    stop_seconds: float = 5.0,
    environment: Mapping[str, str] | None = None,
    files: Iterable[Path] = (),
) -> Process:
    """Describe a process; it is restarted when the contents of `files` change."""
    contents = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    return {
        "name": name,
        "argv": [str(word) for word in argv],
        "env": {"PATH": _path(context), "HOME": "/root", **(environment or {})},
        "log": str(logs / f"{name}.log"),
        "waits_for": list(waits_for),
        "stop_seconds": stop_seconds,
        "files": contents,
    }


def write_kubeconfigs(context: Context) -> None:
    """Write every kubeconfig: the user's, and one for each part of the cluster."""
    kubeconfig.write(context.paths.kubeconfig, context.pki, context.server, "admin", context.context_name)
    users = ["controller-manager", "scheduler", "proxy", "network-policy", "volume-provisioner"]
    users += [f"kubelet-worker-{number}" for number in context.state.workers]
    for user in users:
        kubeconfig.write(
            kubeconfig_of(context, user), context.pki, context.server, user, context.context_name
        )


def kubeconfig_of(context: Context, user: str) -> Path:
    """Return where the kubeconfig of a part of the cluster lies."""
    return context.paths.config / f"{user}.kubeconfig"


def api_is_up(context: Context) -> str:
    """Return what a client of the API server waits for."""
    return f"tcp:{context.addresses.host}:{API_PORT}"


def api_was_ready(context: Context) -> list[str]:
    """Return what a client waits for that would be refused before the first roles are there.

    Started earlier, it would be refused and then pause for longer than it takes.
    """
    return [f"file:{context.paths.api_was_ready}", api_is_up(context)]
