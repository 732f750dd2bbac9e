"""The report's charts, as SVG that takes its colours from the page around it."""

from decimal import Decimal

import pygal  # type: ignore[import-untyped] # ships no types
from pygal.style import Style  # type: ignore[import-untyped]

from groundplan.verify import figures
from groundplan.verify.report import Curve, Money, ServiceLine

# The page defines these for light and dark.
_PREDICTED, _SECOND, _MEASURED, _LIMIT = (
    "var(--predicted)",
    "var(--second)",
    "var(--measured)",
    "var(--limit)",
)
_QUIET = "var(--quiet)"
_SLICES = tuple(f"var(--slice-{number})" for number in range(1, 9))


def _style(*colors: str) -> Style:
    return Style(
        background="transparent",
        plot_background="transparent",
        foreground="var(--ink-soft)",
        foreground_strong="var(--ink)",
        foreground_subtle="var(--line)",
        guide_stroke_color="var(--line)",
        major_guide_stroke_color="var(--line)",
        font_family="inherit",
        label_font_size=13,
        major_label_font_size=13,
        legend_font_size=13,
        value_font_size=12,
        title_font_size=14,
        tooltip_font_size=12,
        opacity="1",
        opacity_hover="1",
        stroke_opacity="1",
        stroke_width=2.5,
        colors=colors,
    )


_COMMON = {
    "js": (),  # the default loads a script from the network
    "width": 560,
    "margin": 8,
    "explicit_size": False,
    "legend_at_bottom": True,
    "legend_box_size": 10,
    "truncate_legend": -1,
    "show_y_guides": True,
    "no_data_text": "nothing to show",
}


def _svg(chart: pygal.Graph) -> str:
    text: str = chart.render(is_unicode=True, disable_xml_declaration=True)
    return text


def latency_curve(curve: Curve) -> str:
    """Response time against load: predicted lines, measured points, the promise and the stated load."""
    in_milliseconds = [
        *(point.p95 * 1000 for point in curve.predicted),
        *(point.p95 * 1000 for point in curve.measured),
    ]
    slo = curve.slo_p95 * 1000 if curve.slo_p95 else None
    # Towards saturation the curve has no end: cut it where the promise is long broken.
    top = min(max(in_milliseconds), 2.5 * slo) if slo else max(in_milliseconds)
    top = max(top, *(point.p95 * 1000 for point in curve.measured), 0.0)
    predicted = [point for point in curve.predicted if point.p95 * 1000 <= top]
    rates = [point.rate_per_second for point in (*predicted, *curve.measured)]
    right = max([*rates, curve.stated_rate_per_second * 1.1])
    chart = pygal.XY(
        **_COMMON,
        height=340,
        style=_style(_PREDICTED, _SECOND, _MEASURED, _MEASURED, _LIMIT, _QUIET),
        x_title="requests per second",
        y_title="response time, ms",
        range=(0, top * 1.05),
        xrange=(0, right),
        dots_size=0,
        value_formatter=lambda value: f"{value:.0f}",
        x_value_formatter=lambda value: f"{value:.0f}",
    )
    chart.add("p95, predicted", [(p.rate_per_second, p.p95 * 1000) for p in predicted])
    chart.add(
        "mean, predicted",
        [(p.rate_per_second, p.mean * 1000) for p in predicted],
        stroke_style={"dasharray": "6, 4", "width": 2},
    )
    if curve.measured:
        points = [(p.rate_per_second, p.p95 * 1000) for p in curve.measured]
        chart.add("p95, measured", points, stroke=False, dots_size=6)
        points = [(p.rate_per_second, p.mean * 1000) for p in curve.measured]
        chart.add("mean, measured", points, stroke=False, dots_size=4)
    else:
        chart.add(None, [])
        chart.add(None, [])
    chart.add(
        f"promise: p95 ≤ {slo:.0f} ms" if slo else None,
        [(0, slo), (right, slo)] if slo else [],
        stroke_style={"width": 2, "dasharray": "10, 5"},
    )
    stated = curve.stated_rate_per_second
    chart.add(f"stated load {stated:g}/s", [(stated, 0), (stated, top * 1.05)], stroke_style={"width": 1.5})
    return _svg(chart)


def predicted_and_measured(services: tuple[ServiceLine, ...]) -> str:
    """p95 of each measured service, predicted beside measured."""
    shown = [service for service in services if service.p95.measured is not None]
    chart = pygal.Bar(
        **_COMMON,
        height=340,
        style=_style(_PREDICTED, _MEASURED),
        y_title="p95, ms",
        print_values=True,
        print_values_position="top",
        rounded_bars=2,
        range=(
            0,
            1.15 * max([1.0, *(1000 * v for s in shown for v in (s.p95.predicted, s.p95.measured) if v)]),
        ),
        value_formatter=lambda value: (
            "" if value is None else f"{value:.1f}" if value < 100 else f"{value:.0f}"
        ),
    )
    chart.x_labels = [service.name for service in shown]
    chart.add("predicted", [None if s.p95.predicted is None else s.p95.predicted * 1000 for s in shown])
    chart.add("measured", [None if s.p95.measured is None else s.p95.measured * 1000 for s in shown])
    return _svg(chart)


def utilization(services: tuple[ServiceLine, ...]) -> str:
    """How busy each service is at the stated load; beyond 85 % a prediction is of low confidence."""
    shown = [service for service in reversed(services) if service.utilization is not None]
    chart = pygal.HorizontalBar(
        **{**_COMMON, "show_legend": False},
        height=max(160, 60 + 34 * len(shown)),
        style=_style(_PREDICTED),
        range=(0, max(1.0, *(s.utilization or 0.0 for s in shown))) if shown else (0, 1),
        print_values=True,
        rounded_bars=2,
        value_formatter=figures.ratio,
    )
    chart.x_labels = [service.name for service in shown]
    chart.add(
        "utilization",
        [
            {"value": s.utilization, "color": _LIMIT if (s.utilization or 0.0) > 0.85 else _PREDICTED}
            for s in shown
        ],
    )
    return _svg(chart)


def cost_split(services: tuple[ServiceLine, ...], money: Money) -> str:
    """Share of each service in the monthly cost, and of what no service uses."""
    parts = {s.name: s.cost_per_month for s in services if s.cost_per_month}
    if money.idle_per_month:
        parts["idle"] = money.idle_per_month
    largest = sorted(parts.items(), key=lambda part: part[1], reverse=True)
    chart = pygal.Pie(
        **{**_COMMON, "legend_at_bottom": False},
        height=300,
        style=_style(*_SLICES),
        inner_radius=0.62,
        value_formatter=lambda value: f"{value:,.2f} {money.currency}",
    )
    kept, rest = largest[:7], largest[7:]
    for name, amount in kept:
        chart.add(f"{name}  {amount:,.2f}", float(amount))
    if rest:
        amount = sum((part[1] for part in rest), Decimal(0))
        chart.add(f"others  {amount:,.2f}", float(amount))
    return _svg(chart)
