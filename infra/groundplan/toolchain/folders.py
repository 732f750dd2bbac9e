"""The one folder for tools, caches and state."""

import os
from pathlib import Path

from groundplan.errors import ToolchainError


def home() -> Path:
    """Return the folder that holds tools, caches and state: $GROUNDPLAN_HOME, else ~/.cache/groundplan."""
    given = os.environ.get("GROUNDPLAN_HOME")
    if given is None:
        return Path.home() / ".cache" / "groundplan"
    path = Path(given)
    if not path.is_absolute():
        raise ToolchainError(
            "the folder for tools and state is not absolute",
            where="GROUNDPLAN_HOME",
            value=given,
            bound="an absolute path",
            fix="Set it to a path that starts with / or unset it",
        )
    return path


def bin_directory() -> Path:
    """Return the folder that holds a link to each tool which groundplan obtained itself."""
    return home() / "bin"
