"""Against the real engine; what a person would do, in one order, to keep the number of its starts small."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import MappingProxyType

import psutil
import pytest

from groundplan.deploy.deployment import Deployment
from groundplan.deploy.settings import DeploySettings
from groundplan.errors import DeployError

pytestmark = pytest.mark.engine


def with_config(settings: DeploySettings, **config: str) -> DeploySettings:
    named = {f"tiny:{name}": value for name, value in config.items()}
    return dataclasses.replace(settings, config=MappingProxyType(named))


def up_in_a_process_of_its_own(settings: DeploySettings) -> subprocess.Popen[str]:
    program = f"""
        from pathlib import Path, PosixPath
        from types import MappingProxyType
        from groundplan.deploy.deployment import Deployment
        from groundplan.deploy.settings import DeploySettings
        mappingproxy = MappingProxyType
        Deployment({settings!r}).up()
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], text=True, stderr=subprocess.PIPE
    )


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.1)


def second_is_being_created(settings: DeploySettings) -> bool:
    mark = settings.state.parent / "created"
    return mark.exists() and "second" in mark.read_text()


def engine_pid(settings: DeploySettings) -> int:
    (lock,) = settings.state.glob("state/.pulumi/locks/**/dev/*.json")
    return int(json.loads(lock.read_text())["pid"])


def test_a_stack_is_previewed_brought_up_unchanged_and_removed(settings: DeploySettings) -> None:
    before = {path: path.read_bytes() for path in settings.project.rglob("*.yaml")}
    deployment = Deployment(settings)
    previewed = deployment.preview()
    assert previewed.has_changes
    assert {change.name for change in previewed.changes} >= {"first", "second"}
    assert not (settings.state.parent / "created").exists()

    deployment.up(previewed)
    assert deployment.outputs() == {"address": "http://127.0.0.1:1"}
    assert not deployment.preview().has_changes
    assert deployment.recover() == []

    removed = deployment.destroy()
    assert removed is not None
    assert removed.counts["delete"] == 3
    assert deployment.destroy() is None
    assert {path: path.read_bytes() for path in settings.project.rglob("*.yaml")} == before


def test_a_failed_update_names_the_resource_and_its_reason(settings: DeploySettings) -> None:
    with pytest.raises(DeployError, match="The update failed") as caught:
        Deployment(with_config(settings, fails="true")).up()
    assert any("the disk of this resource is full" in note for note in caught.value.__notes__)
    assert any(note.startswith("Resource second:") for note in caught.value.__notes__)


def test_an_update_whose_engine_was_killed_is_recovered_and_goes_on(settings: DeploySettings) -> None:
    running = up_in_a_process_of_its_own(with_config(settings, seconds="100"))
    wait_for(lambda: second_is_being_created(settings))
    pid = engine_pid(settings)

    deployment = Deployment(settings)
    with pytest.raises(DeployError, match="Another update of the stack is under way") as caught:
        deployment.recover()
    assert f"kill -INT {pid}" in str(caught.value)

    helpers = psutil.Process(pid).children(recursive=True)
    os.kill(pid, signal.SIGKILL)
    running.communicate()
    done = deployment.recover()
    assert helpers
    assert not any(helper.is_running() for helper in helpers)
    assert "state lock" in done[0]
    assert str(pid) in done[0]
    assert done[1] == "Resolved what an interrupted update left half-done: creating Resource second."
    assert deployment.recover() == []
    deployment.up()
    assert not deployment.preview().has_changes


def test_an_interrupt_lets_the_engine_save_its_state_and_free_the_lock(settings: DeploySettings) -> None:
    running = up_in_a_process_of_its_own(with_config(settings, seconds="4"))
    wait_for(lambda: second_is_being_created(settings))
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert "KeyboardInterrupt" in said
    assert list(settings.state.glob("state/.pulumi/locks/**/dev/*.json")) == []
    assert Deployment(settings).recover() == []
    assert not Deployment(with_config(settings, seconds="4")).preview().has_changes


def test_state_of_a_cluster_that_is_gone_is_forgotten(settings: DeploySettings) -> None:
    first = dataclasses.replace(settings, cluster_id="one")
    deployment = Deployment(first)
    assert deployment.recover() == []
    deployment.up()
    second = Deployment(dataclasses.replace(settings, cluster_id="two"))
    assert "earlier cluster" in second.recover()[0]
    assert second.preview().counts["create"] == 3
    assert second.recover() == []


def test_the_policy_gate_refuses_and_names_the_rule(settings: DeploySettings, tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    pack.mkdir()
    (pack / "PulumiPolicy.yaml").write_text(
        f"runtime: {{name: python, options: {{toolchain: pip, virtualenv: {sys.prefix}}}}}\n"
    )
    (pack / "__main__.py").write_text(
        textwrap.dedent(
            """
            from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy

            def judge(args, report_violation):
                if args.name == "second":
                    report_violation("no second ones here")

            PolicyPack("strict", policies=[ResourceValidationPolicy(
                name="only-first", description="Only the first is allowed.", validate=judge,
                enforcement_level=EnforcementLevel.MANDATORY)])
            """
        )
    )
    previewed = Deployment(dataclasses.replace(settings, policy_packs=(pack,))).preview()
    with pytest.raises(DeployError, match="The policy gate refuses") as caught:
        previewed.require_allowed()
    (note,) = caught.value.__notes__
    assert note.startswith("only-first (Resource second):")
    assert "no second ones here" in note
    assert not (tmp_path / "created").exists()


def test_progress_tells_resources_by_name(settings: DeploySettings) -> None:
    texts: list[tuple[str, float | None]] = []

    class Shown:
        def update(self, text: str, fraction: float | None = None) -> None:
            texts.append((text, fraction))

    class Watching:
        def step(self, title: str) -> nullcontext[Shown]:
            return nullcontext(Shown())

    deployment = Deployment(settings, Watching())
    deployment.up(deployment.preview())
    assert any("creating Resource second" in text for text, _ in texts)
    assert texts[-1][1] == 1.0


def test_an_unknown_stack_lists_those_that_are_known(settings: DeploySettings) -> None:
    with pytest.raises(DeployError, match="There is no such stack") as caught:
        Deployment(dataclasses.replace(settings, stack="shop"))
    assert caught.value.bound == "one of dev"


def test_a_folder_without_a_project_says_so(settings: DeploySettings, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="There is no Pulumi project"):
        Deployment(dataclasses.replace(settings, project=tmp_path / "pulumi"))


def test_a_users_own_stack_needs_a_passphrase(
    settings: DeploySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = dataclasses.replace(settings, generate_passphrase=False)
    with pytest.raises(DeployError, match="PULUMI_CONFIG_PASSPHRASE"):
        Deployment(mine)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "secret")
    assert Deployment(mine).name == "dev"


def test_a_generated_passphrase_is_readable_by_its_user_alone_and_stays(settings: DeploySettings) -> None:
    Deployment(settings)
    file: Path = settings.state / "passphrase"
    assert file.stat().st_mode & 0o777 == 0o600
    text = file.read_text()
    Deployment(settings)
    assert file.read_text() == text


def test_a_missing_engine_is_named(settings: DeploySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DeployError, match="engine is missing"):
        Deployment(dataclasses.replace(settings, tools=()))
