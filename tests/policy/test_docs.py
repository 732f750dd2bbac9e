"""The pages of the rules say what the rules say."""

from pathlib import Path

from groundplan.policy.docs import INDEX, pages
from groundplan.policy.registry import all_rules

from .support import FIXTURES

DOCS = Path(__file__).parents[2] / "docs"


def test_every_rule_has_its_page_and_nothing_else_has_one() -> None:
    assert {page.stem for page in (DOCS / "rules").glob("*.md")} - {Path(INDEX).stem} == {
        rule.name for rule in all_rules()
    }


def test_the_pages_are_up_to_date() -> None:
    for name, text in pages(FIXTURES).items():
        assert (DOCS / "rules" / name).read_text() == text, "run make docs"
