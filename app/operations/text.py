"""Figures as people read them."""

from collections.abc import Callable

NONE = "\N{EN DASH}"

Format = Callable[[float], str]


def seconds(value: float) -> str:
    """A short time."""
    return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"


def per_second(value: float) -> str:
    """A rate."""
    return f"{value:.3g}/s"


def percent(value: float) -> str:
    """A share, with as many places as availability needs."""
    places = f"{value * 100:.3f}".rstrip("0").rstrip(".")
    return f"{places} %"


def coarse_percent(value: float) -> str:
    """A share that may be large."""
    return f"{value * 100:,.0f} %"


def number(value: float) -> str:
    """A plain number."""
    return f"{value:.3g}"


def amount(value: float) -> str:
    """Money, without its currency."""
    return f"{value:,.2f}"


def ago(value: float) -> str:
    """A time span in its handiest unit."""
    for unit, length in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if value >= 1.5 * length:
            return f"{value / length:.3g} {unit}"
    return f"{value:.0f} s"


def maybe(value: float | None, text: Format) -> str:
    """The value's text, or a dash."""
    return NONE if value is None else text(value)
