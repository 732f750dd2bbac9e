import socket
import subprocess
import threading
import time
from collections.abc import Iterator

import psutil
import pytest

from groundplan.cluster.processes import isolated_python, packaged_script


@pytest.fixture
def ports() -> Iterator[tuple[int, int]]:
    """A port that is forwarded, and the port of a server that gives back what it is sent."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as probe:
        target, listen = server.getsockname()[1], probe.getsockname()[1]
        probe.close()

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    while data := connection.recv(65536):
                        connection.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        yield listen, target
        server.shutdown(socket.SHUT_RDWR)


def _forward(listen: int, target: int) -> subprocess.Popen[bytes]:
    words = ("127.0.0.1", str(listen), "127.0.0.1", str(target))
    process = subprocess.Popen(isolated_python(packaged_script("forward.py"), *words))
    deadline = time.monotonic() + 10
    # Asking the port would not tell which of two answers.
    while not any(c.status == psutil.CONN_LISTEN for c in psutil.Process(process.pid).net_connections()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


def _exchange(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:

        def send() -> None:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)

        threading.Thread(target=send).start()
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    return received


def test_what_is_sent_arrives_and_comes_back(ports: tuple[int, int]) -> None:
    process = _forward(*ports)
    try:
        data = bytes(range(256)) * 4096
        assert _exchange(ports[0], data) == data
    finally:
        process.terminate()
        process.wait()


def test_two_share_a_port_and_one_goes_on_when_the_other_ends(ports: tuple[int, int]) -> None:
    first, second = _forward(*ports), _forward(*ports)
    try:
        first.terminate()
        first.wait()
        assert [_exchange(ports[0], b"still here") for _ in range(5)] == [b"still here"] * 5
    finally:
        second.terminate()
        second.wait()
