import contextlib
import json
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundplan import spec
from groundplan.errors import SpecError
from groundplan.spec import System, parse_system

SHOP = dedent(
    """\
    name: shop
    budget: {amount_per_month: 400.50, currency: USD}
    platform: {nodes: 2, zones: 2, node_cpu: 2, node_memory: 4Gi}
    services:
      edge:
        kind: load-balancer
        replicas: 2
        concurrency: 512
        cpu: 100m
        memory: 64Mi
        service_time: {mean: 0.5ms, scv: 1}
        load: {arrival_rate: 20, peak: 40}
        calls:
          - {to: shop, share: 0.9}
        slo: {p95: 400ms, p99: 900ms, availability: 0.995}
      shop:
        autoscaling: {min: 2, max: 6}
        concurrency: 2
        cpu: 500m
        cpu_limit: 1
        memory: 128Mi
        dispatch: least-connections
        service_time: {mean: 25ms}
        calls:
          - {to: database, count: 2}
          - {to: orders, mode: async}
      orders: {kind: worker, replicas: 1}
      database: {kind: database, replicas: 1, storage: 2Gi}
    """
)


def shop() -> System:
    return parse_system(SHOP, "shop.yaml")


def test_durations_and_quantities_become_seconds_cores_and_bytes() -> None:
    edge = shop().services["edge"]
    assert edge.cpu == pytest.approx(0.1)
    assert edge.memory == 64 * 2**20
    assert edge.service_time is not None
    assert edge.service_time.mean == pytest.approx(0.0005)
    assert edge.slo is not None
    assert edge.slo.p95 == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("300ms", 0.3),
        ("1.5s", 1.5),
        ("2m", 120),
        ("1m30s", 90),
        ("1h", 3600),
        ("7d", 604800),
        ("5", 5),
        (3, 3),
    ],
)
def test_durations_are_read(text: object, seconds: float) -> None:
    assert spec.parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("100m", 0.1),
        ("64Mi", 64 * 2**20),
        ("2k", 2000),
        ("1e3", 1000),
        ("4Gi", 4 * 2**30),
        (2, 2),
        (".5", 0.5),
    ],
)
def test_quantities_are_read(text: object, number: float) -> None:
    assert spec.parse_quantity(text) == pytest.approx(number)


@pytest.mark.parametrize(
    ("old", "new", "line", "parts"),
    [
        ("replicas: 2", "replica: 2", 7, ["services.edge.replica", "not a field", "Did you mean replicas?"]),
        ("to: shop", "to: shpo", 14, ["services.edge.calls[0].to", "'shpo'", "Did you mean shop?"]),
        ("p95: 400ms", "p95: 400xs", 15, ["services.edge.slo.p95", "'400xs'", "300ms"]),
        ("p95: 400ms", "p95: 2s", 15, ["services.edge.slo.p99", "below p95", "at least 2 s"]),
        ("kind: load-balancer", "kind: balancer", 6, ["services.edge.kind", "Did you mean load-balancer?"]),
        ("cpu: 100m", "cpu: -1", 9, ["services.edge.cpu", "-1", "greater than 0"]),
        ("memory: 64Mi", "memory: 64MB", 10, ["services.edge.memory", "'64MB'", "Kubernetes quantity"]),
        ("0.995", "99.5", 15, ["services.edge.slo.availability", "99.5", "less than 1"]),
        ("arrival_rate: 20", "arrival_rate: .nan", 12, ["arrival_rate", "finite"]),
        ("arrival_rate: 20", "arrival_rate: .inf", 12, ["arrival_rate", "finite"]),
        ("peak: 40", "peak: 4", 12, ["services.edge.load.peak", "4", "at least 20"]),
        ("replicas: 2", "replicas: yes", 7, ["services.edge.replicas", "truth value"]),
        ("replicas: 2", "replicas: 2.5", 7, ["services.edge.replicas", "2.5"]),
        ("zones: 2", "zones: 3", 3, ["platform.zones", "3", "at most 2"]),
        ("max: 6", "max: 1", 17, ["services.shop.autoscaling.max", "1", "at least 2"]),
        ("cpu_limit: 1", "cpu_limit: 0.1", 20, ["services.shop.cpu_limit", "0.1", "at least 0.5"]),
        ("name: shop", "name: Shop", 1, ["name", "'Shop'", "lower-case"]),
        ("currency: USD", "currency: usd", 2, ["budget.currency", "three capital letters"]),
        ("{arrival_rate: 20, peak: 40}", "{}", 12, ["services.edge.load.arrival_rate", "missing"]),
        ("  edge:", "  edge: {}\n  edge:", 6, ["services.edge", "twice"]),
        ("name: shop", "name: [", 3, ["isn't valid YAML"]),
        ("storage: 2Gi", "storage: 2Gi, calls: [{to: shop}]", 29, []),
    ],
)
def test_errors_name_file_line_field_value_and_bound(old: str, new: str, line: int, parts: list[str]) -> None:
    assert old in SHOP
    with pytest.raises(SpecError) as caught:
        parse_system(SHOP.replace(old, new, 1), "shop.yaml")
    message = str(caught.value)
    for part in parts:
        assert part in message
    if parts:
        assert caught.value.where == f"shop.yaml:{line}"


def test_replicas_and_autoscaling_together_are_refused() -> None:
    with pytest.raises(SpecError, match="together with autoscaling"):
        parse_system(SHOP.replace("autoscaling: {min", "replicas: 2\n    autoscaling: {min"), "shop.yaml")


def test_services_that_wait_for_each_other_are_refused_with_the_circle() -> None:
    text = SHOP.replace("storage: 2Gi", "storage: 2Gi, calls: [{to: shop}]")
    with pytest.raises(SpecError, match="shop -> database -> shop"):
        parse_system(text, "shop.yaml")


def test_a_circle_that_nobody_waits_in_is_allowed() -> None:
    text = SHOP.replace("{kind: worker, replicas: 1}", "{kind: worker, replicas: 1, calls: [{to: shop}]}")
    assert parse_system(text, "shop.yaml").services["orders"].calls[0].to == "shop"


def test_a_service_that_calls_itself_is_refused() -> None:
    with pytest.raises(SpecError, match="edge -> edge"):
        parse_system(SHOP.replace("to: shop", "to: edge"), "shop.yaml")


def test_a_deep_chain_of_calls_is_no_circle() -> None:
    services = {f"s{i}": {"calls": [{"to": f"s{i + 1}"}]} for i in range(3000)} | {"s3000": {}}
    assert len(spec.build_system({"name": "deep", "services": services}, "test").services) == 3001


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        parse_system(SHOP.replace("cpu: 100m", "cpu: x").replace("scv: 1", "scv: -1"), "shop.yaml")
    assert len(caught.value.__notes__) == 1
    assert "scv" in caught.value.__notes__[0]


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words", "name: a\n"])
def test_a_text_that_describes_no_system_is_refused(text: str) -> None:
    with pytest.raises(SpecError):
        parse_system(text, "shop.yaml")


@settings(deadline=None)
@given(st.text(max_size=60))
def test_no_text_ends_in_another_error(text: str) -> None:
    with contextlib.suppress(SpecError):
        parse_system(text, "any")


def test_a_spec_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(SHOP, encoding="utf-8")
    assert spec.load_system(file) == shop()


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"nowhere\.yaml: the spec can't be read"):
        spec.load_system(tmp_path / "nowhere.yaml")
    with pytest.raises(SpecError, match="can't be read"):
        spec.load_system(tmp_path)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match="UTF-8"):
        spec.load_system(binary)


def test_a_service_survives_its_annotation_without_what_the_workload_states() -> None:
    for service in shop().services.values():
        text = spec.service_to_annotation(service)
        assert not set(json.loads(text)) & spec.READ_FROM_THE_RESOURCE
        dropped = service.model_copy(update=dict.fromkeys(spec.READ_FROM_THE_RESOURCE))
        assert spec.service_from_annotation(text, "deployment shop") == dropped


def test_a_system_survives_its_annotation_without_its_services() -> None:
    text = spec.system_to_annotation(shop())
    restored = spec.system_from_annotation(text, "namespace shop")
    assert restored == shop().model_copy(update={"services": {}})
    assert str(restored.budget.amount_per_month if restored.budget else "") == "400.5"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"kind": "x"}', '{"service_time": {"mean": NaN}}'])
def test_a_broken_annotation_names_its_resource(text: str) -> None:
    with pytest.raises(SpecError, match="deployment shop"):
        spec.service_from_annotation(text, "deployment shop")


def test_a_system_put_together_from_parts_is_checked_like_a_file() -> None:
    with pytest.raises(SpecError, match=r"namespace shop: .*nowhere"):
        spec.build_system(
            {"name": "shop", "services": {"a": {"calls": [{"to": "nowhere"}]}}}, "namespace shop"
        )


def test_the_json_schema_knows_every_field() -> None:
    schema = spec.json_schema()
    assert set(schema["properties"]) == set(System.model_fields)
    assert schema["additionalProperties"] is False


def test_every_field_says_what_it_means() -> None:
    for name, model in spec.json_schema()["$defs"].items():
        for field, content in model.get("properties", {}).items():
            assert content.get("description"), f"{name}.{field}"


def test_the_reference_page_is_up_to_date() -> None:
    page = Path(__file__).parents[1] / "docs" / "spec.md"
    assert page.read_text(encoding="utf-8") == spec.reference_markdown()
