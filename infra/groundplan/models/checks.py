"""Checks of the numbers that formulas are asked with."""

import math

from groundplan.errors import ModelError


def finite(name: str, value: float, *, above: float | None = None, least: float | None = None) -> float:
    """`value` as a float; ModelError unless it is finite, greater than `above` and at least `least`."""
    number = float(value)
    if not math.isfinite(number):
        raise ModelError(f"{name} is not a finite number", value=value, bound="finite")
    if above is not None and number <= above:
        raise ModelError(f"{name} is out of range", value=value, bound=f"greater than {above:g}")
    if least is not None and number < least:
        raise ModelError(f"{name} is out of range", value=value, bound=f"at least {least:g}")
    return number


def whole(name: str, value: int, *, least: int = 1) -> int:
    """`value` as an int; ModelError unless it is a whole number of at least `least`."""
    if isinstance(value, bool) or int(value) != value:
        raise ModelError(f"{name} is not a whole number", value=value, bound="a whole number")
    if value < least:
        raise ModelError(f"{name} is out of range", value=value, bound=f"at least {least}")
    return int(value)


def probability(name: str, value: float) -> float:
    """`value` as a float; ModelError unless it lies between 0 and 1."""
    number = finite(name, value, least=0.0)
    if number > 1.0:
        raise ModelError(f"{name} is out of range", value=value, bound="at most 1")
    return number


def stable(arrival_rate: float, capacity: float) -> None:
    """ModelError unless requests arrive more slowly than they can be served."""
    if arrival_rate >= capacity:
        raise ModelError(
            "the queue grows without end",
            value=arrival_rate,
            bound=f"below the capacity of {capacity:g} per second",
            fix="Add servers, make service faster, or lower the arrival rate.",
        )
