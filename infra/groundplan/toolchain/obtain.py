"""Obtaining tools: what is missing, once, verified, under a lock."""

import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from packaging.version import InvalidVersion

from groundplan.errors import ToolchainError
from groundplan.progress import QUIET, Progress, Step
from groundplan.toolchain import debian, golang, release
from groundplan.toolchain.folders import bin_directory, home
from groundplan.toolchain.recipes import Check, Recipe, catalogue, recipes_for

_REFERENCE_CORES = 2


@dataclass(frozen=True)
class ToolStatus:
    """Where a group of tools stands.

    origin: "path", "release", "build", "package", or None when it is missing.
    problem: what is wrong with it, where something is.
    """

    recipe: Recipe
    origin: str | None
    paths: dict[str, Path]
    problem: str | None = None


def _folder(recipe: Recipe) -> Path:
    return home() / "tools" / recipe.name


@functools.cache
def _fingerprint(name: str) -> str:
    """Return a digest of everything that decides what the tools of this recipe are."""
    recipe = catalogue()[name]
    pinned = golang.module_fingerprint(recipe.build) if recipe.build else {}
    # The time that a build takes doesn't change its result.
    data = recipe.model_dump(mode="json", exclude={"build": {"seconds"}, "check": True})
    return hashlib.sha256(json.dumps([data, pinned], sort_keys=True).encode()).hexdigest()


def _manifest(recipe: Recipe) -> dict[str, object] | None:
    """Return what was recorded when the tools were obtained, or None where they are missing or stale."""
    try:
        record: dict[str, object] = json.loads((_folder(recipe) / "manifest.json").read_text())
    except (OSError, ValueError):
        return None
    return record if record.get("recipe") == _fingerprint(recipe.name) else None


def _digest(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _damage(recipe: Recipe, record: dict[str, object], *, thorough: bool) -> str | None:
    """Return which recorded file is not as it was; sizes and times are compared, or contents if thorough."""
    files = record["files"]
    assert isinstance(files, dict)
    for name, facts in files.items():
        path = _folder(recipe) / name
        try:
            found = path.stat()
        except OSError:
            return f"{path} is gone"
        same = (found.st_size, found.st_mtime_ns) == (facts["size"], facts["mtime_ns"])
        if (thorough or not same) and _digest(path) != facts["sha256"]:
            return f"{path} has changed since it was obtained"
    return None


def _version_on_path(path: Path, check: Check) -> str | None:
    try:
        run = subprocess.run([path, *check.args], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(check.pattern, run.stdout + run.stderr)
    return match[1] if match else None


def _on_path(recipe: Recipe) -> dict[str, Path] | None:
    """Return the recipe's tools when all of them are on PATH and the first tells a version that fits."""
    if recipe.check is None:
        return None
    # Our own links must not pass for something that the machine's owner installed.
    entries = [
        entry for entry in os.environ.get("PATH", "").split(os.pathsep) if entry != str(bin_directory())
    ]
    search = os.pathsep.join(entries)
    paths = {tool: shutil.which(tool, path=search) for tool in recipe.tools}
    if any(path is None for path in paths.values()):
        return None
    found = {tool: Path(path) for tool, path in paths.items() if path}
    version = _version_on_path(found[recipe.tools[0]], recipe.check)
    try:
        fits = version is not None and recipe.check.accepts(version)
    except InvalidVersion:
        fits = False
    return found if fits else None


def _status(recipe: Recipe, *, thorough: bool = False) -> ToolStatus:
    if recipe.package is not None:
        located = {tool: debian.locate(tool, recipe.folders) for tool in recipe.tools}
        paths = {tool: path for tool, path in located.items() if path}
        if len(paths) == len(recipe.tools):
            return ToolStatus(recipe, "package", paths)
        return ToolStatus(
            recipe, None, paths, "missing: " + ", ".join(t for t in recipe.tools if t not in paths)
        )
    record = _manifest(recipe)
    if record is not None:
        problem = _damage(recipe, record, thorough=thorough)
        if problem:
            return ToolStatus(recipe, None, {}, problem)
        origin = str(record["origin"])
        return ToolStatus(recipe, origin, {tool: _folder(recipe) / tool for tool in recipe.tools})
    found = _on_path(recipe)
    return ToolStatus(recipe, "path" if found else None, found or {})


def status(*, thorough: bool = False) -> list[ToolStatus]:
    """Tell where each group of tools stands; `thorough` compares the contents with their checksums."""
    return [_status(recipe, thorough=thorough) for recipe in catalogue().values()]


def find(tool: str) -> Path | None:
    """Return the path of a tool, or None where it has not been obtained."""
    [recipe] = recipes_for((tool,))
    return _status(recipe).paths.get(tool)


def search_path() -> str:
    """Return a PATH on which programs that look their own helpers up find groundplan's tools first."""
    return os.pathsep.join([str(bin_directory()), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def ensure(*names: str, progress: Progress = QUIET) -> dict[str, Path]:
    """Obtain the tools or groups named, where they are missing, and return the path of each tool.

    Raises ToolchainError with what to do when one can't be had. A second process waits for the first.
    """
    recipes = recipes_for(names)
    stands = [_status(recipe) for recipe in recipes]
    if any(stand.origin is None for stand in stands):
        install(recipes, progress)
        stands = [_status(recipe) for recipe in recipes]
    paths: dict[str, Path] = {}
    for stand in stands:
        if stand.origin is None:
            raise ToolchainError(
                f"it is still missing after it was installed: {stand.problem}",
                where=stand.recipe.name,
                fix="Run `groundplan toolchain status --verify`",
            )
        paths |= stand.paths
    return paths


def install(recipes: list[Recipe], progress: Progress = QUIET) -> None:
    """Obtain what these recipes lack: packages at once, then one group after the other."""
    home().mkdir(parents=True, exist_ok=True)
    lock = FileLock(home() / "toolchain.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        with progress.step("Waiting for another groundplan that is installing tools"):
            lock.acquire()
    try:
        missing = [recipe for recipe in recipes if _status(recipe).origin is None]
        packages = [name for recipe in missing if recipe.package for name in recipe.package.split()]
        if packages:
            with progress.step("Installing system packages") as step:
                debian.install(packages, step)
        rest = [recipe for recipe in missing if not recipe.package]
        for number, recipe in enumerate(rest, start=1):
            left = _estimate(rest[number - 1 :])
            with progress.step(
                f"Obtaining {recipe.name} {recipe.version} ({number} of {len(rest)}, {left})"
            ) as step:
                _obtain(recipe, step)
    finally:
        lock.release()


def _estimate(recipes: list[Recipe]) -> str:
    """Say how long it takes at most, if all that is left has to be built on this machine."""
    cores = os.cpu_count() or 1
    seconds = sum(recipe.build.seconds for recipe in recipes if recipe.build) * _REFERENCE_CORES / cores
    return f"up to {max(1, round(seconds / 60))} min left"


def _obtain(recipe: Recipe, step: Step) -> None:
    folder = _folder(recipe)
    work = home() / "tools" / f".{recipe.name}.work"
    fresh = work / "result"
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        fresh.mkdir(parents=True)
        if release.download(recipe, fresh, work, step):
            origin = "release"
        elif recipe.build is not None:
            golang.build(recipe.build, fresh, work, step)
            origin = "build"
        else:
            raise ToolchainError(
                "its release can't be reached",
                where=recipe.name,
                fix="Install it on PATH, or mend the connection",
            )
        missing = [tool for tool in (*recipe.tools, *recipe.helpers) if not (fresh / tool).exists()]
        if missing:
            raise ToolchainError(f"it came without {', '.join(missing)}", where=recipe.name)
        _record(recipe, fresh, origin)
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
    except OSError as error:
        raise ToolchainError(
            f"writing failed: {error.strerror or error}",
            where=str(error.filename or work),
            fix=f"{shutil.disk_usage(home()).free / 2**30:.1f} GiB are free; make room and run it again",
        ) from error
    shutil.rmtree(work, ignore_errors=True)
    _link(recipe)


def _record(recipe: Recipe, folder: Path, origin: str) -> None:
    files = {}
    for path in sorted(folder.iterdir()):
        facts = path.stat()
        files[path.name] = {"size": facts.st_size, "mtime_ns": facts.st_mtime_ns, "sha256": _digest(path)}
    record = {"recipe": _fingerprint(recipe.name), "origin": origin, "files": files}
    (folder / "manifest.json").write_text(json.dumps(record, indent=1))


def _link(recipe: Recipe) -> None:
    bin_directory().mkdir(parents=True, exist_ok=True)
    for tool in (*recipe.tools, *recipe.helpers):
        link = bin_directory() / tool
        fresh = link.with_name(f".{tool}.new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(Path("..") / "tools" / recipe.name / tool)
        fresh.replace(link)
