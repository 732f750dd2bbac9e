import io
import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Literal

import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import sync_playwright
from rich.console import Console

from groundplan.errors import VerifyError
from groundplan.verify import charts, figures, page, report, terminal
from tests.verify import made_up

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def shown(made: report.Report, width: int = 140) -> str:
    text = io.StringIO()
    terminal.show(made, Console(file=text, width=width))
    return text.getvalue()


def test_the_headline_counts_what_matters_most() -> None:
    full = made_up.report()
    assert full.headline == "1 of 5 promises is broken"
    good = [promise for promise in full.promises if promise.verdict == "holds"]
    assert made_up.report(promises=good).headline == "All 3 promises hold"
    open_ones = [promise for promise in full.promises if promise.verdict != "broken"]
    assert made_up.report(promises=open_ones).headline == "No promise is broken; 1 of 4 is undecided"
    assert made_up.report(promises=()).headline == "No promises are stated"


def test_predictions_are_judged_by_their_tolerance() -> None:
    by_name = {service.name: service for service in made_up.report().services}
    assert by_name["edge"].judged("mean") is True
    assert by_name["orders"].judged("mean") is False  # 0.121 predicted, 0.149 measured
    assert by_name["orders"].judged("p95") is False
    assert by_name["cache"].judged("mean") is None


def test_the_terminal_shows_every_service_promise_and_address() -> None:
    text = shown(made_up.report())
    for word in ("1 of 5 promises is broken", "http://127.0.0.1:30080", "the database has one replica",
                 "188 ms → 172 ms", "+9.3 %", "312.40 USD", "3741 %", "2 times status 503"):  # fmt: skip
        assert word in text
    for service in made_up.report().services:
        assert service.name in text


def test_what_is_not_known_is_a_dash_and_not_a_nought() -> None:
    bare = made_up.report(load=None, curve=None, money=None, measured_at=None, addresses={})
    assert "not measured" in shown(bare)
    unmeasured = [made_up.service("edge", "load-balancer", 2, None, 0.05, 0.1)]
    text = shown(made_up.report(services=unmeasured, load=None))
    assert "50.0 ms → -" in text
    assert "Not measured" in page.render(bare)


def test_a_late_generator_is_told_everywhere() -> None:
    load = made_up.report().load
    assert load is not None
    made = made_up.report(load=load.model_copy(update={"problems": ("it was late",)}))
    assert "Not trustworthy: it was late" in shown(made)
    assert "not trustworthy: it was late" in page.render(made)


def test_the_page_holds_the_same_figures_as_the_report() -> None:
    soup = BeautifulSoup(page.render(made_up.report()), "html.parser")
    text = soup.get_text(" ", strip=True)
    for word in (
        "1 of 5 promises is broken",
        "99.74 %",
        "112.3 min down in 30 days",
        "312.40 USD",
        "-22.9 %",
    ):
        assert word in text
    assert len(soup.select("figure svg")) == 4
    assert [a["href"] for a in soup.select("a[href]")] == ["http://127.0.0.1:30080", "http://127.0.0.1:30090"]


def test_the_page_escapes_what_it_is_given() -> None:
    nasty = "<script>alert(1)</script>"
    services = (made_up.service(nasty, "service", 1, 0.5, 0.1, 0.2, (0.1, 0.2)),)
    html = page.render(made_up.report(notes=(nasty,), services=services))
    assert nasty not in html
    assert "&lt;script&gt;alert(1)" in html


@pytest.mark.skipif(not os.path.exists(CHROMIUM), reason="Chromium is not installed")  # noqa: PTH110
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_draws_the_page_alone_in_light_and_dark(
    tmp_path: Path, scheme: Literal["light", "dark"]
) -> None:
    file = tmp_path / "report.html"
    page.write(made_up.report(), file)
    asked: list[str] = []
    said: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        tab = browser.new_context(color_scheme=scheme, viewport={"width": 1280, "height": 900}).new_page()
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.goto(file.as_uri())
        background = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        ink = tab.evaluate("getComputedStyle(document.querySelector('figure svg .axis text')).fill")
        wide = tab.evaluate("document.documentElement.scrollWidth > innerWidth")
        sizes = tab.evaluate(
            "[...document.querySelectorAll('figure svg')].map(s => s.getBoundingClientRect().height)"
        )
        tab.set_viewport_size({"width": 390, "height": 800})
        wide_on_a_phone = tab.evaluate("document.documentElement.scrollWidth > innerWidth")
        browser.close()
    assert asked == [file.as_uri()]
    assert said == []
    assert not wide
    assert not wide_on_a_phone
    assert min(sizes) > 100
    assert (_brightness(background) > 128) == (scheme == "light")
    assert (_brightness(ink) > 128) == (scheme == "dark")


def _brightness(colour: str) -> float:
    return sum(float(part) for part in re.findall(r"[\d.]+", colour)[:3]) / 3


def test_the_curve_is_cut_where_the_promise_is_long_broken() -> None:
    curve = made_up.report().curve
    assert curve is not None
    svg = charts.latency_curve(curve)
    assert "promise: p95 ≤ 400 ms" in svg
    assert "3000" not in re.findall(r">(\d+)<", svg)  # p95 at the last point is 2640 ms
    assert charts.latency_curve(curve.model_copy(update={"measured": (), "slo_p95": None}))


def test_costs_beyond_seven_services_are_shown_together() -> None:
    services = tuple(
        made_up.service(f"s{number}", "service", 1, 0.5, 0.1, 0.2, cost=str(number + 1))
        for number in range(12)
    )
    money = made_up.report().money
    assert money is not None
    svg = charts.cost_split(services, money.model_copy(update={"idle_per_month": None}))
    assert "others  15.00" in svg


def test_a_saved_report_is_read_back_unchanged(tmp_path: Path) -> None:
    file = tmp_path / "reports" / "report.json"
    report.save(made_up.report(), file)
    assert report.load(file) == made_up.report()


def test_a_missing_or_foreign_report_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(VerifyError, match=r"There is no report yet.*groundplan up"):
        report.load(tmp_path / "report.json")
    (tmp_path / "report.json").write_text("{}")
    with pytest.raises(VerifyError, match="another version"):
        report.load(tmp_path / "report.json")


@pytest.mark.parametrize(
    ("shown_value", "expected"),
    [
        (figures.seconds(0.00034), "340 µs"),
        (figures.seconds(0.0123), "12.3 ms"),
        (figures.seconds(0.188), "188 ms"),
        (figures.seconds(2), "2.00 s"),
        (figures.seconds(None), "-"),
        (figures.availability(0.9974), "99.74 %"),
        (figures.availability(0.99993), "99.993 %"),
        (figures.downtime(0.999), "43.2 min down in 30 days"),
        (figures.downtime(0.99), "7.2 h down in 30 days"),
        (figures.money(Decimal("1234.5"), "EUR"), "1,234.50 EUR"),
        (figures.duration(200), "3 min 20 s"),
        (figures.bound("availability", 0.999), "≥ 99.90 %"),
        (figures.bound("cost", 400, "USD"), "≤ 400.00 USD"),
        (figures.bound("p95", 0.4), "≤ 400 ms"),
    ],
)
def test_figures_read_well(shown_value: str, expected: str) -> None:
    assert shown_value == expected
