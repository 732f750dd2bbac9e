"""What the tests of the policy gate share."""

from pathlib import Path

import pytest

from .engine import Engine


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """One project with the real engine for all tests that need it."""
    folder: Path = tmp_path_factory.mktemp("engine")
    return Engine.start(folder)
