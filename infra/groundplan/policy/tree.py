"""Reading nested data in which single values may be unknown.

At preview some values of a resource don't exist yet. The plain data carries `UNKNOWN` in their place. Rules
read through `Node`, which raises `Undecided`, with the field's name, as soon as a verdict would depend on
such a value or on one that has the wrong shape. So a rule is written as if everything were known and still
never guesses.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final


class Unknown(Enum):
    """Type of the one marker for a value that isn't known yet."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN


class Undecided(Exception):  # noqa: N818 - not a failure: the third verdict
    """A verdict can't be reached. `reason` says why, in words that follow "undecided: "."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Node:
    """A mapping inside a resource, with the path that leads to it.

    Absent and null are the same, as in Kubernetes.
    """

    data: Mapping[str, Any]
    path: str = ""

    def at(self, key: str) -> str:
        """Path of a field of this mapping, as a person would write it."""
        if "." in key or "/" in key:
            return f"{self.path}[{key}]"
        return f"{self.path}.{key}" if self.path else key

    def __bool__(self) -> bool:
        return any(value is not None for value in self.data.values())

    def names(self) -> Iterator[str]:
        """Names of the fields that are set, known or not."""
        return (key for key, value in self.data.items() if value is not None)

    def raw(self, key: str) -> Any:
        """The value as it is, None when absent. Raises Undecided when it is unknown."""
        value = self.data.get(key)
        if value is UNKNOWN:
            raise Undecided(f"{self.at(key)} isn't known before deployment")
        return value

    def has(self, key: str) -> bool:
        """Whether the field is set."""
        return self.raw(key) is not None

    def node(self, *keys: str) -> "Node":
        """The mapping below these keys; an empty one when absent."""
        current = self
        for key in keys:
            value = current.raw(key)
            if value is None:
                value = {}
            if not isinstance(value, Mapping):
                raise self._misshapen(current.at(key), value, "a mapping")
            current = Node(value, current.at(key))
        return current

    def nodes(self, key: str) -> list["Node"]:
        """The mappings in a list; an empty list when absent."""
        found = []
        for index, value in enumerate(self._sequence(key)):
            path = f"{self.at(key)}[{index}]"
            if value is UNKNOWN:
                raise Undecided(f"{path} isn't known before deployment")
            if not isinstance(value, Mapping):
                raise self._misshapen(path, value, "a mapping")
            found.append(Node(value, path))
        return found

    def texts(self, key: str) -> list[str]:
        """The strings in a list; an empty list when absent."""
        found = []
        for index, value in enumerate(self._sequence(key)):
            path = f"{self.at(key)}[{index}]"
            if value is UNKNOWN:
                raise Undecided(f"{path} isn't known before deployment")
            if not isinstance(value, str):
                raise self._misshapen(path, value, "a text")
            found.append(value)
        return found

    def text(self, key: str) -> str | None:
        """A string, None when absent."""
        value = self.raw(key)
        if value is None or isinstance(value, str):
            return value
        raise self._misshapen(self.at(key), value, "a text")

    def flag(self, key: str) -> bool | None:
        """A truth value, None when absent."""
        value = self.raw(key)
        if value is None or isinstance(value, bool):
            return value
        raise self._misshapen(self.at(key), value, "true or false")

    def whole(self, key: str) -> int | None:
        """A whole number, None when absent. Pulumi hands whole numbers over as floats."""
        value = self.raw(key)
        if value is None:
            return None
        if isinstance(value, int | float) and not isinstance(value, bool) and value == int(value):
            return int(value)
        raise self._misshapen(self.at(key), value, "a whole number")

    def _sequence(self, key: str) -> Sequence[Any]:
        value = self.raw(key)
        if value is None:
            return ()
        if isinstance(value, Sequence) and not isinstance(value, str):
            return value
        raise self._misshapen(self.at(key), value, "a list")

    @staticmethod
    def _misshapen(path: str, value: object, expected: str) -> Undecided:
        # the value itself could be a secret, so only its type is told
        return Undecided(f"{path} can't be read: it is of type {type(value).__name__} instead of {expected}")
