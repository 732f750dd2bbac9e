"""The components on a real cluster: deployed once by the real engine, then put to the test."""

import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from groundplan.cluster import EmbeddedCluster
from groundplan.cluster.embedded import require
from groundplan.images import image_settings
from groundplan.toolchain import ensure, search_path

pytestmark = pytest.mark.e2e
Kubectl = Callable[..., str]
PROGRAM = Path(__file__).parent / "program"


@dataclass(frozen=True)
class Deployed:
    """A deployment of the test program."""

    namespace: str
    kubectl: Kubectl
    pulumi: Callable[..., str]
    edge: str

    def get(self, *words: str) -> dict[str, Any]:
        """An object, or a list of objects, of the namespace."""
        found: dict[str, Any] = json.loads(self.kubectl("-n", self.namespace, "get", *words, "-o", "json"))
        return found

    def exec(self, pod: str, command: str) -> str:
        """Run a shell command in a pod."""
        return self.kubectl("-n", self.namespace, "exec", pod, "--", "sh", "-c", command)

    def run_job(self, cron_job: str) -> str:
        """Make a job of a cron job, wait for it and return what it wrote."""
        name = f"{cron_job}-{secrets.token_hex(3)}"
        self.kubectl("-n", self.namespace, "create", "job", f"--from=cronjob/{cron_job}", name)
        self.kubectl(
            "-n", self.namespace, "wait", "--for=condition=complete", f"job/{name}", "--timeout=110s"
        )
        return self.kubectl("-n", self.namespace, "logs", f"job/{name}")

    def sql(self, statement: str, database: str = "notes") -> str:
        """Run a statement as the server's owner."""
        return self.exec(
            "database-0", f'psql -h /run/postgresql -U postgres -d {database} -qtAXc "{statement}"'
        )


@pytest.fixture(scope="module")
def deployed(
    cluster: EmbeddedCluster, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("components")
    ensure("pulumi", "pulumi-language-python", "pulumi-resource-kubernetes", "pulumi-resource-docker-build")
    namespace = f"test-{secrets.token_hex(4)}"
    options = {"toolchain": "pip", "virtualenv": sys.prefix}
    project = {"name": "components", "runtime": {"name": "python", "options": options}, "main": str(PROGRAM)}
    (folder / "Pulumi.yaml").write_text(json.dumps(project))
    (folder / "state").mkdir()
    environment = {
        **os.environ,
        **cluster.environment(),
        **image_settings(cluster.registry, require(cluster.name).paths.builder_socket),
        "PATH": search_path(),
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": "made up for tests",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "TEST_NAMESPACE": namespace,
    }

    def pulumi(*arguments: str) -> str:
        done = subprocess.run(
            ["pulumi", *arguments, "--stack", "test", "--non-interactive", "--color=never"],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    pulumi("stack", "init")
    try:
        pulumi("up", "--yes", "--skip-preview")
        node = json.loads(kubectl("get", "nodes", "-o", "json"))["items"][0]["status"]["addresses"][0][
            "address"
        ]
        service = json.loads(kubectl("-n", namespace, "get", "service", "edge", "-o", "json"))
        port = service["spec"]["ports"][0]["nodePort"]
        yield Deployed(namespace, kubectl, pulumi, f"http://{node}:{port}")
    finally:
        kubectl("delete", "namespace", namespace, "--ignore-not-found", "--wait=false")


def wait_until(what: str, check: Callable[[], bool], seconds: float) -> None:
    """Ask once a second until it is so."""
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, f"not after {seconds:g} s: {what}"
        time.sleep(1)


class Load:
    """Requests from a few clients, from entering the context to leaving it, and what came of them."""

    def __init__(self, url: str, *, clients: int, pause_seconds: float) -> None:
        self._url, self._pause = url, pause_seconds
        self._stop = threading.Event()
        self._counters = [Counter[str]() for _ in range(clients)]
        self._threads = [threading.Thread(target=self._send, args=(counter,)) for counter in self._counters]

    def _send(self, counter: Counter[str]) -> None:
        with httpx.Client(timeout=10) as client:
            while not self._stop.wait(self._pause):
                try:
                    counter[str(client.get(self._url).status_code)] += 1
                except httpx.HTTPError as error:
                    counter[type(error).__name__] += 1

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def outcomes(self) -> Counter[str]:
        return sum(self._counters, Counter[str]())


def test_every_pod_is_let_in_under_pod_security_restricted(deployed: Deployed) -> None:
    labels = json.loads(deployed.kubectl("get", "namespace", deployed.namespace, "-o", "json"))["metadata"][
        "labels"
    ]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    pods = deployed.get("pods")["items"]
    assert {pod["metadata"]["labels"]["app.kubernetes.io/name"] for pod in pods} >= {
        "web", "edge", "cache", "database", "monitoring",
    }  # fmt: skip


def test_replicas_stand_on_different_nodes(deployed: Deployed) -> None:
    for name in ("web", "edge"):
        pods = deployed.get("pods", "-l", f"app.kubernetes.io/name={name}")["items"]
        assert len({pod["spec"]["nodeName"] for pod in pods}) == 2


def test_a_second_deployment_changes_nothing_and_keeps_the_passwords(deployed: Deployed) -> None:
    before = deployed.get("secret", "database-credentials")["data"]
    deployed.pulumi("preview", "--expect-no-changes")
    deployed.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")
    assert deployed.get("secret", "database-credentials")["data"] == before


def test_passwords_are_not_readable_in_the_state(deployed: Deployed) -> None:
    password = deployed.exec("database-0", "printenv POSTGRES_PASSWORD").strip()
    assert len(password) > 20
    assert password not in deployed.pulumi("stack", "export")


def test_a_backup_brings_the_data_back(deployed: Deployed) -> None:
    deployed.sql(
        "create table note (text text); insert into note values ('kept'); alter table note owner to notes"
    )
    dump = deployed.run_job("database-backup").strip().splitlines()[-1]
    assert dump.endswith(".dump")
    deployed.sql("drop table note")
    assert "restored" in deployed.run_job("database-restore")
    assert deployed.sql("select text from note").strip() == "kept"


def test_a_restarted_database_keeps_its_data_and_its_password(deployed: Deployed) -> None:
    deployed.sql("create table if not exists lasting (n int); insert into lasting values (1)")
    deployed.kubectl("-n", deployed.namespace, "delete", "pod", "database-0", timeout_seconds=180)
    deployed.kubectl("-n", deployed.namespace, "rollout", "status", "statefulset/database", "--timeout=110s")
    assert int(deployed.sql("select count(*) from lasting")) >= 1


def test_only_who_is_named_may_connect(deployed: Deployed) -> None:
    def state(pod: str, host: str, port: int) -> str:
        attempt = f'timeout 5 bash -c ": </dev/tcp/{host}/{port}" && echo open || echo closed'
        return deployed.exec(pod, attempt).strip()

    web = deployed.get("pods", "-l", "app.kubernetes.io/name=web")["items"][0]["metadata"]["name"]
    # the test before has just replaced the database's pod
    wait_until("web reaches the database", lambda: state(web, "database", 5432) == "open", 20)
    assert state("cache-0", "database", 5432) == "closed"
    # nothing lets web call the cache, though the cache would let it in
    assert state(web, "cache", 6379) == "closed"


def test_a_password_is_needed(deployed: Deployed) -> None:
    answer = deployed.exec("cache-0", "unset REDISCLI_AUTH; redis-cli ping")
    assert "NOAUTH" in answer
    assert deployed.exec("cache-0", "redis-cli ping").strip() == "PONG"


def test_the_root_file_system_can_not_be_changed(deployed: Deployed) -> None:
    assert "Read-only file system" in deployed.exec("cache-0", "touch /usr/new 2>&1 || true")


def _query(deployed: Deployed, expression: str) -> str:
    return deployed.exec("monitoring-0", f"promtool query instant http://localhost:9090 '{expression}'")


def test_prometheus_reads_every_replica(deployed: Deployed) -> None:
    def both() -> bool:
        return "=> 2 @" in _query(deployed, 'count(up{service="web"} == 1)')

    wait_until("two replicas of web are scraped", both, 60)
    rules = deployed.exec("monitoring-0", "promtool check rules /etc/prometheus/groundplan/rules.yml")
    assert "SUCCESS" in rules


def test_outsiders_see_the_service_but_not_its_metrics(deployed: Deployed) -> None:
    assert httpx.get(f"{deployed.edge}/-/ready").status_code == 200
    assert httpx.get(f"{deployed.edge}/metrics").status_code == 404


def test_no_request_is_lost_while_everything_is_replaced(deployed: Deployed) -> None:
    with Load(f"{deployed.edge}/-/healthy", clients=3, pause_seconds=0.1) as load:
        time.sleep(2)
        deployed.kubectl("-n", deployed.namespace, "rollout", "restart", "deployment/web", "deployment/edge")
        for name in ("web", "edge"):
            deployed.kubectl(
                "-n", deployed.namespace, "rollout", "status", f"deployment/{name}", "--timeout=115s"
            )
        # the old replicas still drain when the new ones are ready
        time.sleep(50)
    assert set(load.outcomes) == {"200"}, dict(load.outcomes)
    assert load.outcomes["200"] > 500


def test_the_autoscaler_adds_a_replica_under_load(deployed: Deployed) -> None:
    with Load(f"{deployed.edge}/api/v1/query?query=vector(1)", clients=6, pause_seconds=0.005):
        wait_until(
            "a third replica of web",
            lambda: deployed.get("deployment", "web")["status"].get("replicas", 0) == 3,
            180,
        )
