"""Real servers on loopback for the tests: PostgreSQL, Redis, Prometheus, Gunicorn and a Celery worker."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import httpx
import psycopg
import redis

APP = Path(__file__).resolve().parents[2] / "app"
POSTGRES_BIN = Path("/usr/lib/postgresql/15/bin")
HOST = "127.0.0.1"


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def wait_until(true: Callable[[], object], what: str, seconds: float = 90) -> None:
    """Wait for something, and fail with its name if it doesn't come."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.1)


class Server:
    """A process with a log file; subclasses say how it is started and when it is ready."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str]:
        """How it is started."""
        raise NotImplementedError

    def ready(self) -> bool:
        """Whether it answers."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """Its environment."""
        return os.environ

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                stdout=log,
                stderr=log,
                env=dict(self.environment()),
                cwd="/",
                start_new_session=True,
            )
        try:
            wait_until(
                lambda: (self._process and self._process.poll() is not None) or self.ready(), self.name
            )
            assert self._process.poll() is None
        except AssertionError as error:
            self.stop()
            raise AssertionError(f"{self.name} didn't start:\n{self.log.read_text()[-3000:]}") from error

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int | None:
        """Stop it; its exit code."""
        process, self._process = self._process, None
        if process is None:
            return None
        if how is signal.SIGKILL:
            os.killpg(process.pid, how)  # children too: nobody is left to end them
        elif process.poll() is None:
            process.send_signal(how)
        try:
            return process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise


class Postgres(Server):
    """A cluster of its own, run by an unprivileged user because PostgreSQL refuses root."""

    def __init__(self, folder: Path, port: int, password: str) -> None:
        super().__init__("postgres", folder)
        self.port, self.password = port, password
        self.data = Path(tempfile.mkdtemp(prefix="shop-postgres-", dir="/tmp"))

    def _as_user(self, command: Sequence[str]) -> list[str]:
        if os.geteuid() != 0:
            return list(command)
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]

    def create(self) -> None:
        """Make the files."""
        secret = self.data / "password"
        secret.write_text(self.password)
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            for path in (self.data, secret):
                os.chown(path, user.pw_uid, user.pw_gid)
        arguments = [
            "-D",
            str(self.data / "data"),
            "-U",
            "shop",
            "--auth=scram-sha-256",
            f"--pwfile={secret}",
        ]
        initdb = [str(POSTGRES_BIN / "initdb"), *arguments, "--no-sync"]
        subprocess.run(self._as_user(initdb), check=True, stdout=subprocess.DEVNULL, cwd="/")

    def command(self) -> Sequence[str]:
        settings = {
            "port": self.port,
            "listen_addresses": HOST,
            "unix_socket_directories": self.data,
            "fsync": "off",
        }
        flags = [flag for name, value in settings.items() for flag in ("-c", f"{name}={value}")]
        return self._as_user([str(POSTGRES_BIN / "postgres"), "-D", str(self.data / "data"), *flags])

    def connect(self, database: str = "postgres") -> "psycopg.Connection[tuple[object, ...]]":
        """A connection to it."""
        return psycopg.connect(
            host=HOST, port=self.port, user="shop", password=self.password, dbname=database, autocommit=True
        )

    def ready(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, how: signal.Signals = signal.SIGINT) -> int | None:
        return super().stop(how)

    def remove(self) -> None:
        """Stop it and remove its files."""
        self.stop()
        shutil.rmtree(self.data)


class Redis(Server):
    """Without files; a password where given."""

    def __init__(self, name: str, folder: Path, port: int, password: str = "") -> None:
        super().__init__(name, folder)
        self.port, self.password = port, password
        self.client = redis.Redis(host=HOST, port=port, password=password or None)

    def command(self) -> Sequence[str]:
        flags = ["--port", str(self.port), "--bind", HOST, "--save", "", "--appendonly", "no"]
        return ["redis-server", *flags, *(["--requirepass", self.password] if self.password else [])]

    def ready(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.ConnectionError:
            return False


class App(Server):
    """One of the image's commands, started as the image does."""

    def __init__(self, command: str, folder: Path, port: int, name: str = "", **environment: str) -> None:
        super().__init__(name or command, folder)
        self._command, self.port = command, port
        self.url = f"http://{HOST}:{port}"
        self._environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "LISTEN_ADDRESS": HOST,
            "WEB_PORT": str(port),
            "WORKER_PORT": str(port),
            "PROMETHEUS_MULTIPROC_DIR": str(folder / f"metrics-{self.name}"),
            **environment,
        }

    def command(self) -> Sequence[str]:
        return [str(APP / "entrypoint"), self._command]

    def environment(self) -> Mapping[str, str]:
        return self._environment

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz").is_success
        except httpx.HTTPError:
            return False


class Prometheus(Server):
    """Scrapes the given targets every second; each is known by the name of its service."""

    def __init__(self, folder: Path, port: int, targets: Mapping[str, int]) -> None:
        super().__init__("prometheus", folder)
        self.port = port
        self.url = f"http://{HOST}:{port}"
        self._targets = len(targets)
        self._data = folder / "prometheus"
        self._config = folder / "prometheus.yaml"
        jobs = "".join(
            f"- job_name: {service}\n  static_configs:\n"
            f"  - targets: ['{HOST}:{target}']\n    labels: {{service: {service}}}\n"
            for service, target in targets.items()
        )
        self._config.write_text(
            f"global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n{jobs}"
        )

    def command(self) -> Sequence[str]:
        return [
            "prometheus",
            f"--config.file={self._config}",
            f"--storage.tsdb.path={self._data}",
            f"--web.listen-address={HOST}:{self.port}",
        ]

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready").is_success
        except httpx.HTTPError:
            return False

    def sees_all(self) -> bool:
        """Whether every target was scraped."""
        up = httpx.get(f"{self.url}/api/v1/query", params={"query": "sum(up)"}).json()["data"]["result"]
        return bool(up) and up[0]["value"][1] == str(self._targets)
