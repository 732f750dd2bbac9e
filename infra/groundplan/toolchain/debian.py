"""Tools that come as Debian packages."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from groundplan.errors import ToolchainError
from groundplan.progress import Step


def install(packages: list[str], step: Step) -> None:
    """Install packages with apt-get, without recommended ones.

    Raises ToolchainError without root, without apt-get, or when apt-get fails.
    """
    names = " ".join(packages)
    if shutil.which("apt-get") is None:
        raise ToolchainError(
            "this machine has no apt-get",
            where=names,
            fix="Install the tools of these packages with the system's package manager and run it again",
        )
    if os.geteuid() != 0:
        raise ToolchainError(
            "packages can only be installed by root",
            where=names,
            fix=f"Run `sudo apt-get install --no-install-recommends {names}` and run it again",
        )
    with _services_stay_stopped():
        _apt_get(packages, step)


@contextmanager
def _services_stay_stopped() -> Iterator[None]:
    """Keep packages from starting their daemons, by the means that Debian's policy names for it."""
    policy = Path("/usr/sbin/policy-rc.d")
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\n# written by groundplan while it installs packages\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()


def _apt_get(packages: list[str], step: Step) -> None:
    names = " ".join(packages)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    commands = [
        ["apt-get", "update", "--quiet"],
        ["apt-get", "install", "--quiet", "--yes", "--no-install-recommends", *packages],
    ]
    for command in commands:
        step.update(" ".join(command[:2]) + f" ({names})")
        run = subprocess.run(
            [*command, "-o", "DPkg::Lock::Timeout=120"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode != 0:
            raise ToolchainError(
                f"{' '.join(command[:2])} failed: {(run.stderr or run.stdout).strip()[-800:]}",
                where=names,
                fix="Mend the machine's package sources and run it again",
            )


def locate(tool: str, folders: tuple[str, ...]) -> Path | None:
    """Find an installed tool in the recipe's folders, on PATH, or where Debian puts tools of root."""
    path = os.pathsep.join([*folders, os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    found = shutil.which(tool, path=path)
    return Path(found) if found else None
