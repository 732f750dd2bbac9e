"""Amounts in Kubernetes resources."""

import math

from pydantic_core import PydanticCustomError

from groundplan.policy.tree import Node, Undecided
from groundplan.spec import parse_quantity


def quantity(node: Node, key: str) -> float | None:
    """A Kubernetes quantity as cores or bytes, None when absent. Raises Undecided when it can't be read."""
    value = node.raw(key)
    if value is None:
        return None
    try:
        return parse_quantity(value)
    except PydanticCustomError as error:
        raise Undecided(f"{node.at(key)} isn't a Kubernetes quantity such as 100m or 64Mi") from error


def scaled(node: Node, key: str, total: int) -> int | None:
    """A whole number, or a percentage of `total` rounded up as Kubernetes does; None when absent."""
    value = node.raw(key)
    if isinstance(value, str) and value.endswith("%"):
        try:
            return math.ceil(float(value[:-1]) * total / 100)
        except ValueError as error:
            raise Undecided(f"{node.at(key)} isn't a whole number or a percentage") from error
    return node.whole(key)
