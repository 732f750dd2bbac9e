"""The whole shop, running: Gunicorn, a worker, PostgreSQL, two Redis and Prometheus."""

import json
import random
import signal
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.app.conftest import Deployment
from tests.app.servers import App, Postgres, Redis, wait_until

CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def get(deployment: Deployment, path: str, status: int = 200) -> Any:
    answer = httpx.get(f"{deployment.web.url}{path}", timeout=10)
    assert answer.status_code == status, answer.text
    return answer.json()


def metrics(server: App) -> str:
    return httpx.get(f"{server.url}/metrics").text


def place_order(deployment: Deployment, product: int) -> str:
    """Order a product through the API; the order's id."""
    with httpx.Client(base_url=deployment.web.url) as client:
        basket = client.post("/api/baskets/").json()["id"]
        client.post(f"/api/baskets/{basket}/items/", json={"product": product, "quantity": 1})
        order = client.post("/api/orders/", json={"basket": basket})
        assert order.status_code == 201, order.text
        return str(order.json()["id"])


def status(deployment: Deployment, order: str) -> str:
    return str(get(deployment, f"/api/orders/{order}/")["status"])


@pytest.fixture(scope="module")
def products(deployment: Deployment) -> list[int]:
    return [product["id"] for product in get(deployment, "/api/products/")["results"]]


@pytest.fixture(scope="module")
def visited(deployment: Deployment, products: list[int]) -> Deployment:
    """The deployment after visitors, as a proxy would pass them on, and after Prometheus saw them."""
    chance = random.Random(7)  # noqa: S311 - the same visitors each time
    for number in range(120):
        started = {"X-Request-Start": f"t={time.time():.3f}"}
        path = f"/api/products/{chance.choice(products)}/" if number % 2 else "/api/products/"
        assert httpx.get(f"{deployment.web.url}{path}", headers=started).is_success
        if number % 12 == 0:
            place_order(deployment, chance.choice(products))
        time.sleep(chance.expovariate(15))
    wait_until(
        lambda: get(deployment, "/api/performance/")["services"]["orders"]["p95"]["measured"],
        "measured orders",
    )
    return deployment


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM_FLAGS)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page whose console must stay empty."""
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        complaints.append(message.text)

    opened = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="dark")
    opened.on("console", note)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    opened.close()
    assert complaints == []


def test_performance_is_measured_beside_the_prediction(visited: Deployment) -> None:
    answer = get(visited, "/api/performance/?window=10m")
    assert answer["problem"] is None
    shop = answer["services"]["shop"]
    assert shop["arrival_rate"]["measured"] > 1
    assert shop["arrival_rate"]["predicted"] == 20
    assert 0 < shop["p50"]["measured"] <= shop["p95"]["measured"] <= shop["p99"]["measured"] < 10
    assert 0 < shop["p95"]["predicted_at_measured_load"] <= shop["p95"]["predicted"]
    assert 0 < shop["utilization"]["measured"] < 1
    assert 0 < shop["service_time_mean"]["measured"] < shop["mean"]["measured"]
    assert answer["services"]["edge"]["p95"]["objective"] == 0.25
    assert answer["services"]["database"]["mean"]["measured"] > 0
    edge = answer["services"]["edge"]["p95"]
    assert edge["measured"] is None
    assert "exports" in edge["reason"]
    assert {"/api/products/", "/api/products/<int:pk>/", "/api/orders/"} <= set(answer["routes"])


def test_the_measured_rate_is_that_of_the_requests_sent(visited: Deployment) -> None:
    """What the API says is compared with the worker's own counters over the same time."""

    def count() -> float:
        lines = metrics(visited.web).splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("http_requests_total{"))

    requests = count()
    time.sleep(3)  # Prometheus sees the last of them
    answer = get(visited, "/api/performance/?window=1h")
    rate = answer["services"]["shop"]["arrival_rate"]["measured"]
    assert rate * answer["covered_seconds"] == pytest.approx(requests, rel=0.2)


def test_reliability_is_measured_beside_the_prediction(visited: Deployment) -> None:
    wait_until(
        lambda: get(visited, "/api/reliability/")["services"]["edge"]["path_availability"]["measured"],
        "a probe through the edge",
    )
    answer = get(visited, "/api/reliability/")
    for name in ("shop", "orders", "database", "cache", "broker"):
        availability = answer["services"][name]["availability"]
        assert availability["measured"] > 0.5
        assert 0.99 < availability["predicted"] < 1
    assert answer["requests"]["success_ratio"]["measured"] == 1
    assert answer["requests"]["success_ratio"]["objective"] == 0.99
    assert answer["requests"]["error_budget_left"]["measured"] == 1


def test_cost_is_that_of_the_replicas_that_run(visited: Deployment) -> None:
    answer = get(visited, "/api/cost-benefit/")
    assert answer["currency"] == "USD"
    assert answer["services"]["shop"]["replicas"]["measured"] == 1
    shop = answer["services"]["shop"]["cost_per_month"]
    assert shop["measured"] == shop["predicted"] > 0
    total = answer["total"]
    assert total["cost_per_month"]["objective"] == 60
    parts = sum(service["cost_per_month"]["predicted"] for service in answer["services"].values())
    idle = total["idle_cost_per_month"]["predicted"]
    assert total["cost_per_month"]["predicted"] == pytest.approx(parts + idle, abs=0.05)
    assert total["benefit_per_month"]["predicted"] == 1200
    assert total["roi"]["measured"] > 0
    rate = get(visited, "/api/performance/")["services"]["shop"]["arrival_rate"]["measured"]
    per_million = total["cost_per_month"]["measured"] / (rate * 730 * 3600 / 1e6)
    assert total["cost_per_million_requests"]["measured"] == pytest.approx(per_million, rel=0.2)


@pytest.mark.parametrize("api", ["performance", "reliability", "cost-benefit"])
@pytest.mark.parametrize("window", ["59s", "31d", "soon", "-5m", "nan", "inf", ""])
def test_a_window_that_is_none_is_refused_with_its_bound(
    deployment: Deployment, api: str, window: str
) -> None:
    error = get(deployment, f"/api/{api}/?window={window}", status=400)["error"]
    assert error["value"] == window
    assert error["bound"] == "a duration from 1m to 30d"


def test_orders_are_confirmed_and_the_worker_says_how_long_it_took(
    deployment: Deployment, products: list[int]
) -> None:
    order = place_order(deployment, products[0])
    wait_until(lambda: status(deployment, order) == "confirmed", "confirmation")
    text = metrics(deployment.worker)
    assert 'celery_tasks_total{state="success",task="orders.decide"}' in text
    assert 'celery_task_queue_seconds_count{task="orders.decide"}' in text
    assert "celery_queue_length 0.0" in text
    assert 'dependency_up{kind="database"} 1.0' in text


def test_an_order_outlives_a_worker_that_is_killed(deployment: Deployment, products: list[int]) -> None:
    deployment.worker.stop(signal.SIGKILL)
    order = place_order(deployment, products[0])
    assert status(deployment, order) == "pending"
    deployment.worker.start()
    wait_until(lambda: status(deployment, order) == "confirmed", "confirmation")


def test_orders_go_on_when_the_broker_comes_back_empty(
    deployment: Deployment, products: list[int], broker: Redis
) -> None:
    broker.stop(signal.SIGKILL)
    first = place_order(deployment, products[0])
    assert status(deployment, first) == "pending"
    broker.start()
    second = place_order(deployment, products[0])
    wait_until(lambda: status(deployment, second) == "confirmed", "the order after the broker's return")
    wait_until(lambda: status(deployment, first) == "confirmed", "the order without a broker")


def test_a_web_replica_is_not_ready_without_its_database_and_recovers(
    deployment: Deployment, postgres: Postgres
) -> None:
    ready = f"{deployment.web.url}/readyz"
    assert httpx.get(ready).status_code == 200
    postgres.stop()
    answer = httpx.get(ready, timeout=10)
    assert (answer.status_code, answer.text) == (503, "the database doesn't answer\n")
    assert httpx.get(f"{deployment.web.url}/healthz").status_code == 200
    postgres.start()
    wait_until(lambda: httpx.get(ready).status_code == 200, "ready again")


def test_a_server_error_is_counted_and_spends_the_error_budget(
    deployment: Deployment, postgres: Postgres
) -> None:
    postgres.stop()
    for _ in range(3):
        assert httpx.post(f"{deployment.web.url}/api/baskets/", timeout=10).status_code == 500
    postgres.start()

    def requests() -> Any:
        return get(deployment, "/api/reliability/")["requests"]

    wait_until(lambda: requests()["success_ratio"]["measured"] < 1, "the errors in the measurement")
    assert requests()["error_budget_left"]["measured"] < 1
    assert requests()["burn_rate"]["measured"] > 0


def test_probes_answer_on_any_host_and_are_not_counted(deployment: Deployment) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert httpx.get(f"{deployment.web.url}{path}", headers={"Host": "10.1.2.3"}).status_code == 200
    assert httpx.get(f"{deployment.web.url}/", headers={"Host": "10.1.2.3"}).status_code == 400
    text = metrics(deployment.web)
    assert 'route="/healthz"' not in text
    assert 'route="/metrics"' not in text
    assert "http_worker_processes 2.0" in text


def test_every_route_and_task_is_counted_from_zero(deployment: Deployment) -> None:
    assert 'http_request_errors_total{route="/api/cost-benefit/"} 0.0' in metrics(deployment.web)
    assert 'http_request_duration_seconds_count{route="/admin/"}' in metrics(deployment.web)
    assert 'celery_tasks_total{state="success",task="orders.decide"}' in metrics(deployment.worker)


def test_a_person_can_order_in_a_browser(deployment: Deployment, page: Page) -> None:
    page.goto(deployment.web.url)
    page.get_by_role("link", name="Desk", exact=True).click()
    page.get_by_role("button", name="Add Fountain pen to the basket").click()
    page.get_by_label("Quantity of Fountain pen").fill("2")
    page.get_by_role("button", name="Change").click()
    assert "70.00 USD" in page.get_by_role("table").inner_text()
    page.get_by_role("button", name="Order", exact=True).click()
    page.get_by_text("Confirmed: everything is set aside for you.").wait_for(timeout=90_000)


def test_the_dashboard_shows_plots_and_figures_and_refreshes_itself(visited: Deployment, page: Page) -> None:
    page.goto(f"{visited.web.url}/dashboard/?window=15m")
    plots = page.locator("figure.plot")
    assert plots.locator("h2").all_inner_texts() == [
        "Response time",
        "Requests",
        "Error budget",
        "Availability by service",
        "Cost a month",
    ]
    assert plots.locator("svg[role=img]").count() == 5
    assert plots.locator(".series .line").first.evaluate("line => getComputedStyle(line).fill") == "none"
    tiles = page.locator(".tile")
    assert tiles.count() == 6
    assert "≤ 250 ms" in tiles.nth(1).inner_text()
    assert page.locator("section.table").count() == 5
    before = page.locator("#live").evaluate("live => { live.dataset.old = 'yes'; return live.dataset.old }")
    assert before == "yes"
    page.evaluate("refresh()")
    assert page.locator("#live").get_attribute("data-old") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_dashboard_fits_a_phone(visited: Deployment, browser: Browser, scheme: Any) -> None:
    phone = browser.new_page(viewport={"width": 375, "height": 700}, color_scheme=scheme)
    phone.goto(f"{visited.web.url}/dashboard/")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 375
    phone.close()


def test_a_wrong_window_of_the_dashboard_is_explained(deployment: Deployment) -> None:
    answer = httpx.get(f"{deployment.web.url}/dashboard/?window=<b>")
    assert answer.status_code == 400
    assert "&lt;b&gt;" in answer.text
    assert "from 1m to 30d" in answer.text


def test_the_admin_changes_a_price_and_the_shop_shows_it(
    deployment: Deployment, products: list[int], page: Page
) -> None:
    page.goto(f"{deployment.web.url}/admin/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill("correct horse")
    page.get_by_role("button", name="Log in").click()
    page.goto(f"{deployment.web.url}/admin/catalogue/product/{products[0]}/change/")
    page.get_by_label("Price").fill("12.34")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("was changed successfully").wait_for()
    assert get(deployment, f"/api/products/{products[0]}/")["price"] == "12.34"
    page.goto(f"{deployment.web.url}/admin/orders/order/")
    assert "confirmed" in page.locator("#result_list").inner_text().lower()


def test_every_log_line_is_json(visited: Deployment) -> None:

    for server in (visited.web, visited.worker):
        lines = [line for line in server.log.read_text().splitlines() if line.strip()]
        broken = [line for line in lines if not line.startswith("{")]
        assert broken == []
        assert {"time", "level", "logger", "message"} <= json.loads(lines[-1]).keys()


def test_without_prometheus_the_answers_say_so(visited: Deployment) -> None:
    visited.prometheus.stop()
    for api in ("performance", "reliability", "cost-benefit"):
        answer = get(visited, f"/api/{api}/")
        assert answer["problem"] == "Prometheus doesn't answer (ConnectError)"
    rate = get(visited, "/api/performance/")["services"]["shop"]["arrival_rate"]
    assert (rate["measured"], rate["predicted"]) == (None, 20)
    assert rate["reason"] == "Prometheus doesn't answer (ConnectError)"
    page = httpx.get(f"{visited.web.url}/dashboard/")
    assert page.status_code == 200
    assert "Prometheus doesn&#x27;t answer" in page.text


def test_sigterm_ends_web_and_worker_in_good_order(deployment: Deployment) -> None:
    for server in (deployment.worker, deployment.web):
        assert server.stop(signal.SIGTERM) == 0
