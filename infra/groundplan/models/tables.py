"""Data from the world that models use: prices and failure data, each with its source and date."""

from datetime import date
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from groundplan.errors import ModelError

_DATA = resources.files("groundplan.models") / "data"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PriceTable(_Table):
    """What a provider charges. Prices are in `currency`, per hour or per month of 730 hours as named.

    billing: nodes, when whole nodes are paid for whether pods use them or not; pods, when only pods are.
    """

    name: str
    region: str
    currency: str
    date: date
    source: str
    billing: Literal["nodes", "pods"]
    cpu_hour: Decimal = Field(ge=0)
    memory_gib_hour: Decimal = Field(ge=0)
    storage_gib_month: Decimal = Field(ge=0)
    load_balancer_hour: Decimal = Field(ge=0)


class Figure(_Table):
    """One figure with its unit in the name of the field that holds it, and where it comes from."""

    value: float = Field(ge=0)
    source: str


class FailureTable(_Table):
    """Default failure data. Times are in seconds; beta is a share."""

    date: date
    pod_mtbf_seconds: Figure
    pod_mttr_seconds: Figure
    pod_beta: Figure
    common_cause_mttr_seconds: Figure
    node_mtbf_seconds: Figure
    node_mttr_seconds: Figure
    zone_mtbf_seconds: Figure
    zone_mttr_seconds: Figure
    node_detection_seconds: Figure
    node_toleration_seconds: Figure
    pod_start_seconds: Figure


@cache
def price_tables() -> tuple[str, ...]:
    """Names of the price tables that there are."""
    folder = _DATA / "prices"
    return tuple(
        sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml"))
    )


@cache
def price_table(name: str) -> PriceTable:
    """The price table of this name. Raises ModelError when there is none."""
    if name not in price_tables():
        raise ModelError(
            "there is no such price table",
            where="price_table",
            value=name,
            bound=f"one of {', '.join(price_tables())}",
        )
    return PriceTable.model_validate(yaml.safe_load((_DATA / "prices" / f"{name}.yaml").read_text("utf-8")))


@cache
def failure_table() -> FailureTable:
    """The default failure data."""
    return FailureTable.model_validate(yaml.safe_load((_DATA / "failures.yaml").read_text("utf-8")))
