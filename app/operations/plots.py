"""Plots as inline SVG without style or script of their own: the page's style sheet gives them their look."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from xml.etree import ElementTree

import pygal
from django.utils.safestring import SafeString, mark_safe
from pygal.style import Style

from operations.text import Format, ago

Role = Literal["measured", "measured-2", "measured-3", "predicted", "promised"]
_SVG = "{http://www.w3.org/2000/svg}"
_GAP_STEPS = 1.5


@dataclass(frozen=True)
class Line:
    """One series: its name in the legend, what it stands for, and its values (None where there is none)."""

    name: str
    role: Role
    values: Sequence[Any]


@dataclass(frozen=True)
class Plot:
    """A plot of a page. note: what is said in its place when there is nothing to draw."""

    title: str
    explanation: str
    lines: Sequence[Line]
    svg: SafeString | None
    note: str | None = None


def over_time(
    title: str,
    explanation: str,
    lines: Sequence[Line],
    *,
    window_seconds: float,
    step_seconds: float,
    text: Format,
) -> Plot:
    """Lines of (Unix time, value) points over a window; other than measured lines are one constant."""
    measured = [line for line in lines if line.role.startswith("measured")]
    points = [point for line in measured for point in line.values]
    if not points:
        return Plot(title, explanation, (), None, "There are no samples in this window yet.")
    end = max(moment for moment, _value in points)
    start = end - window_seconds
    chart = _chart(
        pygal.XY, x_value_formatter=lambda seconds: ago(-seconds) if seconds else "now", value_formatter=text
    )
    chart.xrange = (-window_seconds, 0)
    chart.x_labels = [-window_seconds * part / 4 for part in range(4, -1, -1)]
    drawn = [line for line in lines if line in measured or line.values]
    for line in drawn:
        if line in measured:
            relative = _with_gaps(
                [(moment - end, value) for moment, value in line.values if moment >= start], step_seconds
            )
            chart.add(line.name, relative, show_dots=len(line.values) < 3)
        else:
            chart.add(line.name, [(-window_seconds, line.values[0]), (0, line.values[0])], show_dots=False)
    highest = max(
        [value for _moment, value in points] + [line.values[0] for line in drawn if line not in measured]
    )
    lowest = min([0.0] + [value for _moment, value in points])
    chart.range = (lowest, highest * 1.08 or 1.0)
    chart.y_labels = _ticks(lowest, highest * 1.08 or 1.0)
    return Plot(title, explanation, drawn, _svg(chart, title, drawn))


def dots(
    title: str,
    explanation: str,
    names: Sequence[str],
    lines: Sequence[Line],
    *,
    low: float,
    high: float,
    text: Format,
) -> Plot:
    """One dot for each name and line, for values near each other far from zero, where bars would mislead."""
    chart = _chart(pygal.Line, stroke=False, dots_size=5, margin_right=40, value_formatter=text)
    chart.x_labels = list(names)
    chart.range = (low, high)
    chart.y_labels = _ticks(low, high)
    for line in lines:
        chart.add(line.name, line.values)
    return Plot(title, explanation, lines, _svg(chart, title, lines))


def bars(title: str, explanation: str, names: Sequence[str], lines: Sequence[Line], text: Format) -> Plot:
    """A bar for each name and line."""
    chart = _chart(pygal.HorizontalBar, value_formatter=text, spacing=18)
    chart.x_labels = list(reversed(names))
    for line in lines:
        chart.add(line.name, list(reversed(line.values)))
    highest = max((value or 0.0) for line in lines for value in line.values)
    chart.range = (0, highest or 1.0)
    chart.y_labels = _ticks(0, highest or 1.0)
    return Plot(title, explanation, lines, _svg(chart, title, lines))


def _chart(kind: type, **options: Any) -> Any:
    return kind(
        width=640,
        height=300,
        margin=8,
        show_legend=False,
        show_y_guides=True,
        allow_interruptions=True,
        js=(),
        style=Style(label_font_size=14, major_label_font_size=14),
        **options,
    )


def _svg(chart: Any, title: str, lines: Sequence[Line]) -> SafeString:
    root = chart.render_tree()
    for parent in list(root.iter()):
        for child in list(parent):
            # Inline style and script would need a weaker security policy; the rest is ballast.
            if child.tag in ("style", "script", "defs", "desc", _SVG + "style") or not isinstance(
                child.tag, str
            ):
                parent.remove(child)
    for element in root.iter():
        element.attrib.pop("style", None)
        classes = element.get("class", "").split()
        for index, line in enumerate(lines):
            if f"serie-{index}" in classes:
                element.set("class", f"series {line.role}")
    title_element = root.find("title")
    if title_element is not None:
        title_element.text = title
    root.set("role", "img")
    root.set("aria-label", title)
    root.attrib.pop("id", None)
    # The texts in it come from the plan's names and are escaped by the serialiser.
    return mark_safe(ElementTree.tostring(root, encoding="unicode"))  # noqa: S308


def _with_gaps(
    points: Sequence[tuple[float, float]], step_seconds: float
) -> list[tuple[float, float] | tuple[float, None]]:
    """The points, with an interruption where samples are missing."""
    found: list[tuple[float, float] | tuple[float, None]] = []
    for moment, value in points:
        if found and moment - found[-1][0] > _GAP_STEPS * step_seconds:
            found.append((moment - step_seconds / 2, None))
        found.append((moment, value))
    return found


def _ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers within the bounds."""
    span = high - low
    magnitude = 10.0 ** math.floor(math.log10(span / 4))
    step = next(factor * magnitude for factor in (1, 2, 2.5, 5, 10) if factor * magnitude >= span / 5)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]
