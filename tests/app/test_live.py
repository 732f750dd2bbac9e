"""The whole shop, running: Gunicorn, a worker, PostgreSQL, two Redis and Prometheus."""

import random
import time
from typing import Any

import httpx
import pytest

from tests.app.conftest import Deployment
from tests.app.servers import wait_until


def get(deployment: Deployment, path: str, status: int = 200) -> Any:
    answer = httpx.get(f"{deployment.web.url}{path}", timeout=10)
    assert answer.status_code == status, answer.text
    return answer.json()


def shop_for(deployment: Deployment, product: int) -> str:
    """Order a product through the API; the order's id."""
    with httpx.Client(base_url=deployment.web.url, headers={"X-Request-Start": f"t={time.time():.3f}"}) as client:
        basket = client.post("/api/baskets/").json()["id"]
        client.post(f"/api/baskets/{basket}/items/", json={"product": product, "quantity": 1})
        order = client.post("/api/orders/", json={"basket": basket})
        assert order.status_code == 201, order.text
        return str(order.json()["id"])


@pytest.fixture(scope="module")
def visited(deployment: Deployment) -> Deployment:
    """The deployment after half a minute of visitors."""
    products = [product["id"] for product in get(deployment, "/api/products/")["results"]]
    chance = random.Random(7)
    with httpx.Client(base_url=deployment.web.url) as client:
        for number in range(240):
            client.headers["X-Request-Start"] = f"t={time.time():.3f}"
            assert client.get("/api/products/", params={"page": 1}).is_success
            assert client.get(f"/api/products/{chance.choice(products)}/").is_success
            if number % 10 == 0:
                assert client.get("/").is_success
                shop_for(deployment, chance.choice(products))
            time.sleep(chance.expovariate(10))
    return deployment


def test_x(visited: Deployment) -> None:
    for path in ("performance", "reliability", "cost-benefit"):
        import json
        print(json.dumps(get(visited, f"/api/{path}/"), indent=1))
    print(httpx.get(visited.worker.url + "/metrics").text[-6000:])
    print(httpx.get(visited.web.url + "/metrics").text[:3000])
    open("/tmp/dash.html","w").write(httpx.get(visited.web.url + "/dashboard/").text)
    from playwright.sync_api import sync_playwright
    with sync_playwright() as p:
        b = p.chromium.launch(executable_path="/usr/bin/chromium", args="--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync".split())
        for scheme in ("light","dark"):
            ctx = b.new_context(color_scheme=scheme, viewport={"width":1280,"height":900})
            page = ctx.new_page()
            msgs=[]
            page.on("console", lambda m: msgs.append(m.text)); page.on("pageerror", lambda e: msgs.append(str(e)))
            for name, path in (("dash","/dashboard/"),("shop","/"),("admin","/admin/")):
                page.goto(visited.web.url+path); page.screenshot(path=f"/tmp/{name}-{scheme}.png", full_page=True)
            print(msgs)
        b.close()
    print(visited.worker.log.read_text()[-3000:]); print(visited.web.log.read_text()[-1500:])
