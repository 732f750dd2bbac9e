"""Figures without measurements, without a plan, and the models asked for what runs now."""

from pathlib import Path

import pytest
from django.conf import settings

from groundplan.models import cost, performance
from operations import dashboard, plan, text
from operations.figures import Figure, Reading
from operations.measurements import Measurements
from operations.plots import Line, bars, over_time
from operations.prometheus import Prometheus
from operations.report import Report


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> plan.Plan:
    monkeypatch.setattr(settings, "PLAN_FILE", str(Path(__file__).with_name("plan.yaml")))
    plan.current.cache_clear()
    found = plan.current()
    plan.current.cache_clear()
    assert found is not None
    return found


def unmeasured() -> Measurements:
    return Measurements(Prometheus(""), 300)


def test_without_a_plan_and_without_prometheus_every_figure_says_why() -> None:
    report = Report(None, unmeasured())
    sections = [*report.performance.values(), *report.reliability.values(), report.requests, report.money]
    figures = [figure for section in sections for figure in section.values()]
    assert len(figures) > 20
    for figure in figures:
        assert figure.measured.value is None
        assert figure.measured.reason
        assert figure.predicted == Reading(reason="PLAN_FILE isn't set, so nothing is predicted")
    assert dashboard.context(report, "5m")["problem"] == "PROMETHEUS_URL isn't set, so nothing is measured"


def test_a_promise_is_looked_for_in_front_of_the_web_service(planned: plan.Plan) -> None:
    assert planned.promised("p95") == 0.25
    assert planned.promised("availability") == 0.99
    assert planned.promised("p99") is None


def test_the_system_as_measured_has_the_load_and_the_replicas_of_now(planned: plan.Plan) -> None:
    running = planned.as_measured(10.0, {"shop": 3})
    load = running.services["edge"].load
    assert load is not None
    assert load.arrival_rate == pytest.approx(10)
    assert running.services["shop"].replicas == 3
    assert running.services["orders"].replicas == 1


def test_a_figure_per_nothing_has_a_reason() -> None:
    assert Reading(1.0).per(Reading(0.0)) == Reading(reason="there were no requests")
    assert Reading(1.0).per(Reading(reason="away")) == Reading(reason="away")
    assert Reading(6.0).per(Reading(2.0)) == Reading(3.0)
    assert Figure("s", Reading(1.0), Reading(reason="none")).as_json() == {
        "unit": "s",
        "measured": 1.0,
        "reason": None,
        "predicted": None,
        "predicted_reason": "none",
        "predicted_at_measured_load": None,
        "objective": None,
    }


def test_a_plot_has_no_style_or_script_and_leaves_gaps_where_samples_are_missing() -> None:
    points = [(float(moment), 0.1) for moment in (0, 5, 10, 60, 65, 70)]
    lines = [Line("p95", "measured", points), Line("promised", "promised", [0.2])]
    plot = over_time("Times", "", lines, window_seconds=100, step_seconds=5, text=text.seconds)
    assert plot.svg is not None
    assert "<style" not in plot.svg
    assert "<script" not in plot.svg
    assert "style=" not in plot.svg
    measured = plot.svg.split('class="series measured"')[1].split("</g>")[0]
    assert measured.count("<path") == 2, "two pieces of line with a gap between them"


def test_names_in_a_plot_are_escaped() -> None:
    plot = bars("Cost", "", ["<b>&"], [Line("planned", "predicted", [1.0])], text.amount)
    assert plot.svg is not None
    assert "&lt;b&gt;&amp;" in plot.svg
    assert "<b>" not in plot.svg


@pytest.mark.parametrize(
    ("format_", "value", "shown"),
    [
        (text.seconds, 0.0123, "12.3 ms"),
        (text.seconds, 2.5, "2.5 s"),
        (text.percent, 0.99987, "99.987 %"),
        (text.percent, 1.0, "100 %"),
        (text.coarse_percent, 96.32, "9,632 %"),
        (text.amount, 1234.5, "1,234.50"),
        (text.ago, 5400, "1.5 h"),
        (text.ago, 40, "40 s"),
    ],
)
def test_figures_are_written_for_people(format_: text.Format, value: float, shown: str) -> None:
    assert format_(value) == shown


@pytest.mark.parametrize("replicas", [0, 1])
@pytest.mark.parametrize("rate", [0.0, 20.0, 1e6])
def test_the_models_answer_for_whatever_is_measured(planned: plan.Plan, rate: float, replicas: int) -> None:
    running = planned.as_measured(rate, {"shop": replicas})
    web = performance.predict(running).services["shop"]
    assert (web.p95 is None) == (replicas == 0 or rate == 1e6)
    assert cost.estimate(running).total > 0
