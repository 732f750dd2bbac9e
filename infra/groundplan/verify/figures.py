"""Numbers as people read them."""

from decimal import Decimal

MISSING = "-"


def seconds(value: float | None) -> str:
    """A time: `850 µs`, `12.3 ms`, `1.25 s`."""
    if value is None:
        return MISSING
    if value < 0.001:
        return f"{value * 1e6:.0f} µs"
    if value < 1:
        return f"{value * 1e3:.{1 if value < 0.1 else 0}f} ms"
    return f"{value:.2f} s"


def rate(value: float | None) -> str:
    """Requests per second: `19.8/s`."""
    return MISSING if value is None else f"{value:.1f}/s"


def ratio(value: float | None, digits: int = 0) -> str:
    """A share as a percentage: `62 %`."""
    return MISSING if value is None else f"{value * 100:.{digits}f} %"


def change(value: float | None) -> str:
    """A relative difference with its sign: `+4.2 %`."""
    return MISSING if value is None else f"{value * 100:+.1f} %"


def availability(value: float | None) -> str:
    """An availability with as many digits as its nines need: `99.95 %`, `99.9993 %`."""
    if value is None:
        return MISSING
    digits = 2
    while digits < 6 and 1 - value < 10 ** -(digits + 2):
        digits += 1
    return f"{value * 100:.{digits}f} %"


def downtime(value: float | None) -> str:
    """What an availability means in 30 days: `43 min down in 30 days`."""
    if value is None:
        return MISSING
    minutes = (1 - value) * 30 * 24 * 60
    if minutes >= 120:
        return f"{minutes / 60:.1f} h down in 30 days"
    return f"{minutes:.1f} min down in 30 days"


def money(value: Decimal | None, currency: str) -> str:
    """An amount: `312.40 USD`."""
    return MISSING if value is None else f"{value:,.2f} {currency}"


def duration(value: float) -> str:
    """How long something took: `4.2 s`, `3 min 20 s`."""
    if value < 60:
        return f"{value:.1f} s"
    return f"{int(value // 60)} min {int(value % 60)} s"


def metric(name: str, value: float | None, currency: str = "") -> str:
    """A figure in the unit of its metric."""
    match name:
        case "throughput":
            return rate(value)
        case "availability":
            return availability(value)
        case "cost":
            return money(None if value is None else Decimal(str(value)), currency)
        case _:
            return seconds(value)


def bound(name: str, value: float, currency: str = "") -> str:
    """A promise's bound, with its direction."""
    sign = "≥" if name in {"throughput", "availability"} else "≤"
    return f"{sign} {metric(name, value, currency)}"
