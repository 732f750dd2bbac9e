"""Reads settings from environment variables; a missing or wrong one stops the start and is named."""

import os
from collections.abc import Iterable

from django.core.exceptions import ImproperlyConfigured


def text(name: str, default: str | None = None, *, min_length: int = 0) -> str:
    """The variable's text; without a default it is required."""
    value = os.environ.get(name, "") or default
    if value is None:
        raise ImproperlyConfigured(
            f"environment variable {name} is missing. Set it; app/README.md lists all of them"
        )
    if len(value) < min_length:
        raise ImproperlyConfigured(
            f"environment variable {name} has {len(value)} characters, must have at least {min_length}"
        )
    return value


def integer(name: str, default: int, *, low: int, high: int) -> int:
    """A whole number from low to high."""
    value = text(name, str(default))
    if not value.isascii() or not value.isdecimal() or not low <= int(value) <= high:
        raise ImproperlyConfigured(
            f"environment variable {name} is {value!r}, must be a whole number from {low} to {high}"
        )
    return int(value)


def flag(name: str, default: bool) -> bool:
    """`true` or `false`."""
    return choice(name, ("true", "false"), "true" if default else "false") == "true"


def choice(name: str, allowed: Iterable[str], default: str) -> str:
    """One of the allowed values."""
    value = text(name, default)
    if value not in allowed:
        raise ImproperlyConfigured(
            f"environment variable {name} is {value!r}, must be one of {', '.join(allowed)}"
        )
    return value


def names(name: str, default: str | None = None) -> list[str]:
    """Values separated by commas."""
    return [part.strip() for part in text(name, default).split(",") if part.strip()]


def http_url(name: str) -> str:
    """An http or https address, or nothing."""
    value = text(name, "")
    if value and not value.startswith(("http://", "https://")):
        raise ImproperlyConfigured(
            f"environment variable {name} is {value!r}, must start with http:// or https://"
        )
    return value
