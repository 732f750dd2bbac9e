"""The report as one HTML page that needs nothing but itself."""

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from groundplan.verify import charts, figures
from groundplan.verify.report import Report


def render(report: Report) -> str:
    """The page's text."""
    environment = Environment(
        loader=PackageLoader("groundplan.verify"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    measured = [service for service in report.services if service.p95.measured is not None]
    # The charts escape what they are given.
    return environment.get_template("report.html.j2").render(
        report=report,
        figures=figures,
        currency=report.money.currency if report.money else "",
        curve=Markup(charts.latency_curve(report.curve)) if report.curve else None,  # noqa: S704
        bars=Markup(charts.predicted_and_measured(report.services)) if measured else None,  # noqa: S704
        utilization=Markup(charts.utilization(report.services)),  # noqa: S704
        cost=Markup(charts.cost_split(report.services, report.money)) if report.money else None,  # noqa: S704
    )


def write(report: Report, path: Path) -> None:
    """Write the page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(report), encoding="utf-8")
