"""A home of its own for each test, and a small Go module to build."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from groundplan.toolchain.recipes import Build, Recipe


@pytest.fixture(scope="session")
def go_caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Go's caches, shared so that its standard library is compiled once."""
    return tmp_path_factory.mktemp("go")


@pytest.fixture
def home(tmp_path: Path, go_caches: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "go").symlink_to(go_caches)
    monkeypatch.setenv("GROUNDPLAN_HOME", str(folder))
    return folder


@pytest.fixture
def greeter(tmp_path: Path) -> Recipe:
    """A recipe for a command that prints its version."""
    module = tmp_path / "greeter"
    module.mkdir()
    (module / "go.mod").write_text("module example.org/greeter\n\ngo 1.26\n")
    (module / "main.go").write_text(
        'package main\n\nimport "fmt"\n\nvar version = "none"\n\n'
        'func main() { fmt.Println("greeter", version) }\n'
    )
    build = Build(module=str(module), packages=(".",), variables={"main.version": "1.2.3"}, seconds=5)
    return Recipe(name="greeter", version="1.2.3", tools=("greeter",), build=build)


class _Publisher(SimpleHTTPRequestHandler):
    """Serves files and the ranges that a resumed download asks for."""

    ranges: list[str]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Keep the test's output clean."""

    def do_GET(self) -> None:
        """Answer with the whole file, or from the byte asked for."""
        wanted = self.headers.get("Range")
        file = Path(self.translate_path(self.path))
        if wanted is None or not file.exists():
            super().do_GET()
            return
        self.ranges.append(wanted)
        start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        content = file.read_bytes()[start:]
        self.send_response(206)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[tuple[str, Path, list[str]]]:
    """A server on loopback: its address, its folder, and the ranges it was asked for."""
    folder = tmp_path / "published"
    folder.mkdir()
    ranges: list[str] = []
    handler = type("Handler", (_Publisher,), {"ranges": ranges})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", folder, ranges
    server.shutdown()
    thread.join()
    server.server_close()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
