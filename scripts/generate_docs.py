"""Write the generated pages of docs/ anew, from what they describe; `make docs` runs this."""

from pathlib import Path

from groundplan import spec
from groundplan.cli import pages
from groundplan.policy import docs as rules
from pulumi_groundplan import reference

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def generated_pages() -> dict[Path, str]:
    """Text of each page by its path."""
    return {
        DOCS / "spec.md": spec.reference_markdown(),
        DOCS / "cli.md": pages.help_markdown(),
        **{DOCS / "components" / name: text for name, text in reference.pages().items()},
        **{
            DOCS / "rules" / name: text
            for name, text in rules.pages(ROOT / "tests" / "policy" / "fixtures").items()
        },
    }


def main() -> None:
    """Write all pages; the page of a rule or component that is gone goes too."""
    texts = generated_pages()
    for folder in ("rules", "components"):
        for gone in set((DOCS / folder).glob("*.md")) - texts.keys():
            gone.unlink()
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
