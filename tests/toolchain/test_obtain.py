"""Obtaining tools: built for real from a small module, found on PATH, verified, locked."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from groundplan import toolchain
from groundplan.errors import ToolchainError
from groundplan.toolchain import golang
from groundplan.toolchain import obtain as obtain_module
from groundplan.toolchain import recipes as recipes_module
from groundplan.toolchain.recipes import Check, Recipe


@pytest.fixture
def only_greeter(greeter: Recipe, home: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """A catalogue that holds the greeter alone."""
    monkeypatch.setattr(recipes_module, "catalogue", lambda: {"greeter": greeter})
    monkeypatch.setattr(obtain_module, "catalogue", lambda: {"greeter": greeter})
    obtain_module._fingerprint.cache_clear()
    # The caches that all tests share; one test looks at their removal.
    monkeypatch.setattr(golang, "remove_caches", lambda: None)
    return greeter


def test_a_missing_tool_is_built_recorded_and_linked(only_greeter: Recipe, home: Path) -> None:
    path = toolchain.ensure("greeter")["greeter"]
    answer = subprocess.run([path], capture_output=True, text=True, check=True)
    assert answer.stdout == "greeter 1.2.3\n"
    assert (home / "bin" / "greeter").resolve() == path.resolve()
    assert toolchain.find("greeter") == path
    assert not list((home / "tools").glob(".*.work"))


def test_what_is_there_is_not_built_again(only_greeter: Recipe) -> None:
    path = toolchain.ensure("greeter")["greeter"]
    before = path.stat().st_ino
    assert toolchain.ensure("greeter")["greeter"].stat().st_ino == before


def test_the_caches_of_finished_builds_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDPLAN_HOME", str(tmp_path / "own"))
    for cache in ("build", "mod", "toolchain"):
        (tmp_path / "own" / "go" / cache).mkdir(parents=True)
    golang.remove_caches()
    assert [path.name for path in (tmp_path / "own" / "go").iterdir()] == ["toolchain"]


def test_a_damaged_tool_is_noticed_and_built_again(only_greeter: Recipe) -> None:
    path = toolchain.ensure("greeter")["greeter"]
    good = path.read_bytes()
    path.write_bytes(b"damaged")
    [stand] = toolchain.status()
    assert stand.origin is None
    assert stand.problem is not None
    assert "has changed" in stand.problem
    assert toolchain.ensure("greeter")["greeter"].read_bytes() == good


def test_a_change_that_keeps_size_and_time_is_found_by_a_thorough_look(only_greeter: Recipe) -> None:
    path = toolchain.ensure("greeter")["greeter"]
    facts = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert toolchain.status()[0].problem is None
    assert "has changed" in str(toolchain.status(thorough=True)[0].problem)


def test_a_changed_recipe_is_built_anew(only_greeter: Recipe) -> None:
    toolchain.ensure("greeter")
    assert only_greeter.build is not None
    main = Path(only_greeter.build.module) / "main.go"
    main.write_text(main.read_text().replace('"greeter"', '"welcome"'))
    obtain_module._fingerprint.cache_clear()
    path = toolchain.ensure("greeter")["greeter"]
    assert subprocess.run([path], capture_output=True, text=True, check=True).stdout == "welcome 1.2.3\n"


def test_a_build_that_fails_shows_the_compilers_words_and_leaves_nothing_half_done(
    only_greeter: Recipe, home: Path
) -> None:
    assert only_greeter.build is not None
    (Path(only_greeter.build.module) / "main.go").write_text("package main\n\nfunc main() { missing() }\n")
    with pytest.raises(ToolchainError, match="undefined: missing"):
        toolchain.ensure("greeter")
    assert toolchain.find("greeter") is None
    assert not (home / "tools" / "greeter").exists()


def test_a_full_disk_is_refused_with_the_room_that_is_needed(
    only_greeter: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Path("/dev/shm")
    if not small.is_dir():
        small = Path("/run")
    monkeypatch.setenv("GROUNDPLAN_HOME", str(small / f"groundplan-test-{os.getpid()}"))
    monkeypatch.setattr("groundplan.toolchain.golang.NEEDED_BYTES", 1 << 60)
    try:
        with pytest.raises(ToolchainError, match="not enough room") as caught:
            toolchain.ensure("greeter")
        assert caught.value.fix is not None
        assert "GROUNDPLAN_HOME" in caught.value.fix
    finally:
        subprocess.run(["rm", "-rf", str(small / f"groundplan-test-{os.getpid()}")], check=True)


def test_a_second_process_waits_for_the_first(only_greeter: Recipe, home: Path, greeter: Recipe) -> None:
    titles: list[str] = []

    class Recorder:
        def step(self, title: str):  # type: ignore[no-untyped-def]
            from groundplan.progress import QUIET  # noqa: PLC0415

            titles.append(title)
            if title.startswith("Waiting"):
                lock.release()
            return QUIET.step(title)

    lock = FileLock(home / "toolchain.lock", is_singleton=False)
    lock.acquire()
    toolchain.ensure("greeter", progress=Recorder())
    assert titles[0] == "Waiting for another groundplan that is installing tools"
    assert titles[1].startswith("Obtaining greeter 1.2.3 (1 of 1")


@pytest.mark.parametrize(("version", "taken"), [("1.4.0", True), ("2.0.0", False), ("nonsense", False)])
def test_a_tool_on_path_is_used_when_its_version_fits(
    version: str, taken: bool, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "on-path"
    folder.mkdir()
    script = folder / "thing"
    script.write_text(f"#!{sys.executable}\nprint('thing v{version}')\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    check = Check(args=("--version",), pattern=r"v(\S+)", fits=">=1.2,<2")
    recipe = Recipe(name="thing", version="1.2", tools=("thing",), check=check)
    monkeypatch.setattr(recipes_module, "catalogue", lambda: {"thing": recipe})
    monkeypatch.setattr(obtain_module, "catalogue", lambda: {"thing": recipe})
    obtain_module._fingerprint.cache_clear()
    assert (toolchain.find("thing") == script) is taken


def test_an_unknown_tool_is_refused_with_the_names_of_the_known() -> None:
    with pytest.raises(ToolchainError, match=r"no such tool.*kubernetes"):
        toolchain.ensure("kubelte")


def test_a_home_that_is_not_absolute_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDPLAN_HOME", "here")
    with pytest.raises(ToolchainError, match="GROUNDPLAN_HOME"):
        toolchain.home()


def test_every_recipe_names_a_way_to_obtain_it_and_every_pinned_module_is_used() -> None:
    recipes = toolchain.catalogue().values()
    assert all(recipe.build or recipe.package or recipe.release for recipe in recipes)
    modules = Path(recipes_module.__file__).with_name("modules")
    pinned = {path.parent.name for path in modules.glob("*/go.sum")}
    assert pinned == {recipe.build.module for recipe in recipes if recipe.build}
