"""The report on a terminal."""

from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from groundplan.verify import figures
from groundplan.verify.report import Compared, Money, Report, ServiceLine

_SIGNS = {
    "holds": ("✔ holds", "green"),
    "broken": ("✘ broken", "bold red"),
    "undecided": ("? undecided", "yellow"),
}


def show(report: Report, console: Console) -> None:
    """Print the whole report."""
    colour = "red" if report.count("broken") else "yellow" if report.count("undecided") else "green"
    head = Text(f"{report.headline}.", style=f"bold {colour}")
    when = f"{report.measured_at:%Y-%m-%d %H:%M} UTC" if report.measured_at else "not measured"
    about = Text(f"{report.system}, stack {report.stack} on {report.cluster}; measured: {when}", style="dim")
    console.print(Panel(Group(head, about), border_style=colour))
    for part in _parts(report):
        console.print(part)


def _parts(report: Report) -> Iterator[RenderableType]:
    if report.addresses:
        table = Table("Address", "", title="Where it answers", title_justify="left", box=None, pad_edge=False)
        for name, address in report.addresses.items():
            table.add_row(name, address)
        yield table
    if report.promises:
        yield _promises(report)
    if report.services:
        yield _times(report)
        yield _service_facts(report)
    if report.money:
        yield _money(report.money)
    if report.load:
        yield _load(report)
    yield from (Text(f"Note: {note}", style="yellow") for note in report.notes)


def _promises(report: Report) -> Table:
    currency = report.money.currency if report.money else ""
    table = Table(title="Promises", title_justify="left")
    for name in ("Service", "Promise", "Bound", "Predicted", "Measured", "Verdict"):
        table.add_column(name, justify="right" if name in {"Bound", "Predicted", "Measured"} else "left")
    for promise in report.promises:
        text, style = _SIGNS[promise.verdict]
        verdict = Text(text, style=style)
        if promise.reason and promise.verdict != "holds":
            verdict.append(f": {promise.reason}", style="default")
        table.add_row(
            promise.service,
            promise.metric,
            figures.bound(promise.metric, promise.bound, currency),
            figures.metric(promise.metric, promise.predicted, currency),
            figures.metric(promise.metric, promise.measured, currency),
            verdict,
        )
    return table


def _pair(compared: Compared, shown: str) -> str:
    measured = getattr(figures, shown)(compared.measured)
    return f"{getattr(figures, shown)(compared.predicted)} → {measured}"


def _with_error(service: ServiceLine, metric: str) -> Text:
    compared: Compared = getattr(service, metric)
    text = Text(_pair(compared, "seconds"))
    within = service.judged("mean" if metric == "mean" else "p95")
    if within is not None:
        text.append(f"  {figures.change(compared.error)}", style="green" if within else "bold red")
    return text


def _times(report: Report) -> Table:
    table = Table(title="Predicted → measured, with the prediction's error", title_justify="left")
    for name in ("Service", "Throughput", "Mean", "p50", "p95", "p99"):
        table.add_column(name, justify="left" if name == "Service" else "right")
    for service in report.services:
        table.add_row(
            service.name,
            _pair(service.throughput_per_second, "rate"),
            _with_error(service, "mean"),
            _pair(service.p50, "seconds"),
            _with_error(service, "p95"),
            _pair(service.p99, "seconds"),
        )
    return table


def _service_facts(report: Report) -> Table:
    table = Table(title="Size, availability and cost, predicted", title_justify="left")
    for name in ("Service", "Kind", "Replicas", "Utilization", "Alone", "With what it needs", "A month"):
        table.add_column(name, justify="left" if name in {"Service", "Kind"} else "right")
    currency = report.money.currency if report.money else ""
    for service in report.services:
        table.add_row(
            service.name,
            service.kind,
            figures.MISSING if service.replicas is None else str(service.replicas),
            figures.ratio(service.utilization),
            figures.availability(service.availability),
            figures.availability(service.path_availability),
            figures.money(service.cost_per_month, currency),
        )
    return table


def _money(money: Money) -> Text:
    parts = [f"Cost {figures.money(money.cost_per_month, money.currency)} a month"]
    if money.budget_per_month is not None:
        parts.append(f"of a budget of {figures.money(money.budget_per_month, money.currency)}")
    if money.benefit_per_month is not None:
        parts.append(f"benefit {figures.money(money.benefit_per_month, money.currency)}")
    if money.roi is not None:
        parts.append(f"return on investment {figures.ratio(money.roi)}")
    if money.payback_months is not None:
        parts.append(f"paid back after {money.payback_months:.1f} months")
    return Text(", ".join(parts) + ".")


def _load(report: Report) -> Text:
    load = report.load
    assert load
    text = Text(
        f"Load: {load.requests} requests in {figures.duration(load.duration_seconds)}, Poisson, "
        f"{figures.rate(load.rate_offered_per_second)} offered, "
        f"{figures.rate(load.rate_achieved_per_second)} answered, "
        f"{figures.ratio(load.error_ratio, 2)} failed; "
        f"the generator used {figures.ratio(load.generator_cpu_share)} of a core."
    )
    for kind, count in load.errors.items():
        text.append(f"\n  {count} times {kind}", style="red")
    for problem in load.problems:
        text.append(f"\n  Not trustworthy: {problem}.", style="bold red")
    return text
