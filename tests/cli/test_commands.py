"""The program as people start it."""

import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from groundplan.cli import failures, pages
from groundplan.errors import DeployError
from groundplan.verify import report
from tests.verify import made_up

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("groundplan")


def groundplan(*words: str, home: Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
        env={"GROUNDPLAN_HOME": str(home), "PATH": "/usr/bin:/bin", "COLUMNS": "200"},
    )


@pytest.mark.parametrize("name", pages.commands())
def test_every_command_and_option_says_what_it_does(name: str) -> None:
    command = pages.commands()[name]
    assert command.help
    for parameter in command.params:
        assert parameter.name == "help" or getattr(parameter, "help", None), f"{name}: {parameter.name}"


def test_all_commands_are_there() -> None:
    assert {"up", "down", "status", "preview", "measure", "report", "toolchain install", "cluster up"} <= set(
        pages.commands()
    )


def test_the_page_in_docs_is_what_the_program_says() -> None:
    assert (ROOT / "docs" / "cli.md").read_text() == pages.help_markdown()


def test_help_does_not_load_the_engine() -> None:
    heavy = "('pulumi', 'kubernetes', 'scipy')"
    code = f"import sys, groundplan.cli; sys.exit(any(name in sys.modules for name in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_unknown_stack_is_refused_before_anything_starts(tmp_path: Path) -> None:
    done = groundplan("up", "nosuch", home=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "There is no such stack" in done.stderr
    assert "must be: one of ecommerce" in done.stderr
    assert not (tmp_path / "clusters").exists()


def test_a_wrong_spec_is_told_with_file_line_field_value_and_bound(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "stacks").mkdir(parents=True)
    (project / "Pulumi.yaml").write_text("name: p\nmain: stacks/\nruntime: python\n")
    (project / "stacks" / "shop.yaml").write_text("name: shop\nservices:\n  web:\n    replicas: -2\n")
    done = groundplan("up", "shop", "--project", str(project), home=tmp_path / "home")
    assert done.returncode == 1
    for part in ("shop.yaml:4", "services.web.replicas", "-2", "at least 0"):
        assert part in done.stderr
    assert not (tmp_path / "home" / "clusters").exists()


def test_a_folder_without_a_project_is_told(tmp_path: Path) -> None:
    done = groundplan("status", home=tmp_path, cwd=tmp_path)
    assert done.returncode == 1
    assert "There is no Pulumi project" in done.stderr


def test_a_context_alone_does_not_pick_someones_cluster(tmp_path: Path) -> None:
    done = groundplan("up", "--context", "production", home=tmp_path)
    assert done.returncode == 1
    assert "A context needs its kubeconfig file" in done.stderr


def test_without_a_cluster_commands_say_how_to_get_one(tmp_path: Path) -> None:
    assert "groundplan up makes it" in groundplan("status", home=tmp_path).stdout
    for command in ("preview", "measure"):
        done = groundplan(command, home=tmp_path)
        assert done.returncode == 1
        assert "Run groundplan up" in done.stderr
    done = groundplan("report", home=tmp_path)
    assert done.returncode == 1
    assert "There is no report yet" in done.stderr


def test_wrong_usage_has_its_own_exit_code(tmp_path: Path) -> None:
    assert groundplan("up", "--nosuch", home=tmp_path).returncode == 2


def test_the_last_report_is_shown_again_and_a_broken_promise_fails(tmp_path: Path) -> None:
    report.save(made_up.report(), tmp_path / "reports" / "default" / "ecommerce" / "report.json")
    page = tmp_path / "page.html"
    done = groundplan("report", "--html", str(page), home=tmp_path)
    assert done.returncode == 1
    assert "1 of 5 promises is broken" in done.stdout
    assert "1 of 5 promises is broken" in page.read_text()
    as_json = groundplan("report", "--json", home=tmp_path)
    assert report.Report.model_validate_json(as_json.stdout) == made_up.report()


def test_an_error_shows_all_its_parts_and_notes(capsys: pytest.CaptureFixture[str]) -> None:
    error = DeployError("It failed", "stack shop", "seven", "six", "Try again.")
    error.add_note("pod small/shop: it crashed\n  log: [red]no colour[/red]")
    failures.show_error(error, Console(width=80, stderr=True))
    said = capsys.readouterr().err
    for part in ("Error: It failed", "stack shop", "seven", "six", "Try again.", "[red]no colour[/red]"):
        assert part in said


def test_a_defect_shows_its_traceback_and_asks_for_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise KeyError("lost")
    except KeyError as error:
        failures.show_defect(error, Console(width=80, stderr=True))
    said = capsys.readouterr().err
    assert "KeyError: 'lost'" in said
    assert "defect of groundplan" in said
