import pytest

from tests.verify.queue_server import QueueServer


@pytest.fixture(scope="session")
def queue_server() -> type[QueueServer]:
    return QueueServer
