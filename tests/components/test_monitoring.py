"""What a Monitoring makes of its arguments; Prometheus' own checker reads the rules where it is at hand."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from groundplan.spec import Slo
from pulumi_groundplan import Monitoring, alerts
from tests.components.recorder import Declared, arguments, declare

TARGETS = {"shop": {"port": 8000}, "orders": {"port": 9808, "path": "/stats"}}
SLOS = {"shop": {"p95": "300ms", "availability": 0.995}}


def monitoring(**args: Any) -> Declared:
    return declare(lambda: Monitoring("monitoring", arguments(args)))


def files(declared: Declared) -> dict[str, Any]:
    return {name: yaml.safe_load(text) for name, text in declared.one("ConfigMap")["data"].items()}


def test_it_finds_all_replicas_of_its_targets_by_name() -> None:
    config = files(monitoring(targets=TARGETS, scrape_interval="5s"))["prometheus.yml"]
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    assert set(jobs) == {"prometheus", "shop", "orders"}
    assert jobs["orders"]["metrics_path"] == "/stats"
    assert jobs["orders"]["dns_sd_configs"][0]["names"] == ["orders-metrics"]
    assert jobs["shop"]["relabel_configs"] == [{"target_label": "service", "replacement": "shop"}]
    assert config["global"]["scrape_interval"] == "5s"


def test_it_may_reach_its_targets() -> None:
    egress = monitoring(targets=TARGETS).one("NetworkPolicy")["spec"]["egress"]
    names = [peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"] for peer in egress[1]["to"]]
    assert names == ["orders", "shop"]


def test_it_needs_no_rights_in_the_cluster() -> None:
    declared = monitoring(targets=TARGETS)
    assert not declared.of("Role")
    assert declared.one("StatefulSet")["spec"]["template"]["spec"]["automountServiceAccountToken"] is False


def test_a_promised_availability_becomes_burn_rate_alerts() -> None:
    (group,) = files(monitoring(slos=SLOS))["rules.yml"]["groups"]
    fast = [rule for rule in group["rules"] if rule.get("labels", {}).get("window") == "1h"]
    (rule,) = fast
    # 14.4 times the budget of 0.5 %
    assert "> 0.072 and" in rule["expr"]
    assert 'service="shop"' in rule["expr"]
    recorded = [rule["record"] for rule in group["rules"] if "record" in rule]
    assert alerts.ERROR_RATIO + "5m" in recorded
    assert alerts.ERROR_RATIO + "1h" in recorded


def test_a_promised_percentile_becomes_an_alert_in_seconds() -> None:
    (group,) = files(monitoring(slos=SLOS, response_time_metric="answer_seconds"))["rules.yml"]["groups"]
    (rule,) = [rule for rule in group["rules"] if rule.get("alert") == "SlowResponses"]
    expected = 'histogram_quantile(0.95, sum by (le) (rate(answer_seconds_bucket{service="shop"}[5m]))) > 0.3'
    assert rule["expr"] == expected


def test_an_alert_that_could_never_fire_is_left_out() -> None:
    slo = Slo(availability=0.93)
    assert [row["burn_rate"] for row in alerts.silent_burn_rates(slo)] == [14.4]
    (group,) = alerts.rule_groups({"shop": slo}, "seconds")["groups"]
    assert all(rule.get("labels", {}).get("window") != "1h" for rule in group["rules"])


def test_burn_rates_use_the_share_of_the_budget_that_they_say() -> None:
    hours = {"1h": 1, "6h": 6, "1d": 24, "3d": 72}
    for row in alerts.burn_rates():
        assert row["burn_rate"] * hours[row["long"]] / (30 * 24) == pytest.approx(row["budget_used"])


def test_samples_leave_room_on_the_volume() -> None:
    arguments = monitoring(storage="1Gi", retention="3d").container("StatefulSet")["args"]
    assert "--storage.tsdb.retention.time=3d" in arguments
    assert f"--storage.tsdb.retention.size={int(0.8 * 2**30)}B" in arguments


@pytest.mark.skipif(not shutil.which("promtool"), reason="Prometheus is not installed")
def test_prometheus_takes_the_configuration(tmp_path: Path) -> None:
    for name, text in monitoring(targets=TARGETS, slos=SLOS).one("ConfigMap")["data"].items():
        (tmp_path / name).write_text(text)
    checked = subprocess.run(
        ["promtool", "check", "config", str(tmp_path / "prometheus.yml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert "rules found" in checked.stdout
