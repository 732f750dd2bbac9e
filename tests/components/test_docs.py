"""The reference pages say what the schema says."""

from pathlib import Path

from pulumi_groundplan.host import COMPONENTS
from pulumi_groundplan.reference import pages

DOCS = Path(__file__).parents[2] / "docs"
WRITE = "run make docs"


def test_the_reference_pages_are_those_of_the_schema() -> None:
    written = {page.name: page.read_text() for page in (DOCS / "components").glob("*.md")}
    assert written == pages(), WRITE


def test_the_overview_leads_to_every_component() -> None:
    overview = (DOCS / "components.md").read_text()
    for name in pages():
        assert f"(components/{name})" in overview
    for component in COMPONENTS:
        assert f"[{component.__name__}]" in overview
