"""One person or script at a time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from groundplan.errors import DeployError


@contextmanager
def exclusive(file: Path, doing: str) -> Iterator[None]:
    """Hold a lock while `doing` something; a killed holder's lock is free at once.

    Raises DeployError, with the holder's process, when another process holds it.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    owner = file.with_suffix(".owner")
    lock = FileLock(file)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        said = owner.read_text(encoding="utf-8") if owner.exists() else "another process"
        raise DeployError(
            f"Another groundplan is at work here: {said}",
            str(file),
            fix="Wait until it ends, then run this again.",
        ) from error
    try:
        owner.write_text(f"{doing}, process {os.getpid()}", encoding="utf-8")
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()
