"""Sets Django up for these tests, on servers of their own."""

import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import django
import pytest

from tests.app.servers import APP, HOST, App, Postgres, Prometheus, Redis, free_port, wait_until

PASSWORD = secrets.token_hex(8)

# Before the test modules import models: the servers start later, at these addresses.
os.environ.update(
    DJANGO_SETTINGS_MODULE="shop_project.settings",
    DJANGO_SECRET_KEY=secrets.token_hex(32),
    DJANGO_ALLOWED_HOSTS=f"{HOST},testserver",
    DATABASE_HOST=HOST,
    DATABASE_PORT=str(free_port()),
    DATABASE_NAME="shop",
    DATABASE_USER="shop",
    DATABASE_PASSWORD=PASSWORD,
    CACHE_HOST=HOST,
    CACHE_PORT=str(free_port()),
    BROKER_HOST=HOST,
    BROKER_PORT=str(free_port()),
    BROKER_PASSWORD=PASSWORD + "/@:",
    STATIC_ROOT=tempfile.mkdtemp(prefix="shop-static-"),
)
sys.path.insert(0, str(APP))
django.setup()

from django.core.cache import cache  # noqa: E402 - Django is set up above
from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def static_files() -> Iterator[None]:
    """What the image collects when it is built."""
    call_command("collectstatic", interactive=False, verbosity=0)
    yield
    shutil.rmtree(os.environ["STATIC_ROOT"])


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Logs and files of the servers."""
    return tmp_path_factory.mktemp("shop")


@pytest.fixture(scope="session")
def postgres(folder: Path) -> Iterator[Postgres]:
    """The database server, with the shop's tables."""
    server = Postgres(folder, int(os.environ["DATABASE_PORT"]), PASSWORD)
    try:
        server.create()
        server.start()
        with server.connect() as connection:
            connection.execute("CREATE DATABASE shop")
        call_command("migrate_safely", stdout=(folder / "migrate.log").open("w"))
        yield server
    finally:
        connections.close_all()
        server.remove()


@pytest.fixture(scope="session")
def redis_cache(folder: Path) -> Iterator[Redis]:
    """The cache's server."""
    server = Redis("cache", folder, int(os.environ["CACHE_PORT"]))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def broker(folder: Path) -> Iterator[Redis]:
    """The broker's server."""
    server = Redis("broker", folder, int(os.environ["BROKER_PORT"]), os.environ["BROKER_PASSWORD"])
    server.start()
    yield server
    server.stop()


@pytest.fixture
def shop(postgres: Postgres, redis_cache: Redis, broker: Redis) -> Iterator[None]:
    """Empty tables, an empty cache and an empty queue, in this process; whatever was stopped runs again."""
    for server in (redis_cache, broker):
        if not server.ready():
            server.start()
    if not postgres.ready():
        postgres.start()
    connections.close_all()  # those from before a restart
    from catalogue import cache as catalogue_cache  # noqa: PLC0415 - needs the running servers

    catalogue_cache._availability.paused_until = 0.0
    broker.client.flushall()
    cache.clear()
    call_command("flush", interactive=False)
    yield
    connections.close_all()


@dataclass(frozen=True)
class Deployment:
    """The whole shop, running: what the deployed application is, without a cluster."""

    web: App
    worker: App
    prometheus: Prometheus


@pytest.fixture(scope="module")
def deployment(postgres: Postgres, redis_cache: Redis, broker: Redis, folder: Path) -> Iterator[Deployment]:
    """Gunicorn and a worker with a seeded shop, scraped by Prometheus."""
    os.environ.update(ADMIN_USERNAME="admin", ADMIN_PASSWORD="correct horse")
    call_command("flush", interactive=False)
    call_command("seed", stdout=(folder / "seed.log").open("w"))
    web_port, worker_port, prometheus_port = free_port(), free_port(), free_port()
    prometheus = Prometheus(folder, prometheus_port, {"shop": web_port, "orders": worker_port})
    web = App(
        "web",
        folder,
        web_port,
        PLAN_FILE=str(Path(__file__).with_name("plan.yaml")),
        PROMETHEUS_URL=prometheus.url,
        DJANGO_ALLOWED_HOSTS=HOST,
    )
    worker = App("worker", folder, worker_port, EDGE_URL=f"{web.url}/api/products/")
    try:
        for server in (web, worker, prometheus):
            server.start()
        wait_until(prometheus.sees_all, "the first samples")
        yield Deployment(web, worker, prometheus)
    finally:
        for server in (prometheus, worker, web):
            server.stop()
