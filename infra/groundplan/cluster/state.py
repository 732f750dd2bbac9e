"""What is remembered about a cluster between two commands."""

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from groundplan.errors import ClusterError


def write_atomically(path: Path, text: str, mode: int = 0o600) -> bool:
    """Replace a file in one step, if its contents differ; tell whether it was replaced.

    Raises ClusterError when the disk is full or the folder can't be written.
    """
    try:
        if path.exists() and path.read_text() == text:
            return False
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = path.with_name(f".{path.name}.new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "w") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(path)
    except OSError as error:
        raise ClusterError(
            f"writing failed: {error.strerror}",
            where=str(path),
            fix="Make room or check the folder's permissions and run it again",
        ) from error
    return True


@dataclass(frozen=True)
class State:
    """The choices that must stay the same while a cluster exists.

    number: its set of networks. workers: the numbers of its workers, counted from 1.
    applied: digest of the Kubernetes objects that were applied last.
    """

    name: str
    number: int
    registry_port: int
    internet: bool
    workers: tuple[int, ...] = ()
    applied: str | None = None

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Read the state, or return None where there is none.

        Raises ClusterError when the file is damaged.
        """
        if not path.exists():
            return None
        try:
            data: dict[str, Any] = json.loads(path.read_text())
            return cls(**data | {"workers": tuple(data["workers"])})
        except (ValueError, TypeError, KeyError) as error:
            raise ClusterError(
                "the cluster's state can't be read",
                where=str(path),
                value=str(error),
                fix="Take the cluster down with `groundplan cluster down` and bring it up anew",
            ) from error

    def save(self, path: Path) -> None:
        write_atomically(path, json.dumps(asdict(self), indent=1))

    def with_(self, **changes: Any) -> Self:
        return replace(self, **changes)
