"""The shop's program, run in this process: what it declares, and what it refuses."""

import importlib
import json
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pulumi
import pytest

from groundplan.errors import SpecError
from groundplan.models import plan
from groundplan.spec import SERVICE_ANNOTATION, SERVICE_NAME_ANNOTATION, load_system, service_from_annotation
from tests.components.recorder import Declared, declare

STACKS = Path(__file__).parents[2] / "stacks"
SPEC = STACKS / "ecommerce.yaml"


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("KUBECONFIG", "/named/by/the/test")
    monkeypatch.syspath_prepend(str(STACKS))
    pulumi.runtime.set_all_config({})
    yield
    for name in ("ecommerce", "settings"):
        sys.modules.pop(name, None)


@pytest.fixture
def ecommerce() -> ModuleType:
    return importlib.import_module("ecommerce")


@pytest.fixture
def shop(ecommerce: ModuleType) -> Declared:
    return declare(ecommerce.program)


def workloads(declared: Declared) -> list[dict[str, Any]]:
    return [*declared.of("Deployment"), *declared.of("StatefulSet")]


def test_each_service_of_the_spec_is_there_with_its_promise(shop: Declared) -> None:
    system = load_system(SPEC)
    found = {
        workload["metadata"]["annotations"][SERVICE_NAME_ANNOTATION]: workload for workload in workloads(shop)
    }
    assert set(found) == set(system.services)
    for name, service in system.services.items():
        text = found[name]["metadata"]["annotations"][SERVICE_ANNOTATION]
        carried = service_from_annotation(text, name)
        assert carried.kind == service.kind
        assert carried.slo == service.slo
        assert carried.calls == service.calls
        assert carried.service_time == service.service_time
        assert found[name]["spec"]["replicas"] == service.replicas


def test_the_shop_keeps_its_promises_on_paper() -> None:
    evaluation = plan.evaluate(load_system(SPEC))
    assert [promise.reason for promise in evaluation.promises if promise.verdict != "holds"] == []


def test_every_call_of_the_spec_is_allowed_on_both_sides(shop: Declared) -> None:
    policies = {policy["metadata"]["name"]: policy["spec"] for policy in shop.of("NetworkPolicy")}
    for name, service in load_system(SPEC).services.items():
        for call in service.calls:
            target = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": call.to}}}
            assert target in [peer for rule in policies[name]["egress"] for peer in rule.get("to", [])]
            if call.to == "orders":
                continue  # reached through the broker; it listens to no one
            source = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": name}}}
            assert source in [peer for rule in policies[call.to]["ingress"] for peer in rule["from"]]


def test_the_requests_fit_the_quota_and_the_machine(shop: Declared) -> None:
    system = load_system(SPEC)
    cores = sum((service.cpu or 0) * (service.replicas or 0) for service in system.services.values())
    quota = shop.one("ResourceQuota")["spec"]["hard"]
    assert cores < 1.5
    assert cores < float(quota["requests.cpu"])


def test_no_secret_is_written_outside_of_secrets(shop: Declared) -> None:
    secrets = str([item.inputs for item in shop.resources if item.typ.endswith(":Secret")])
    assert "secret-key" in secrets
    for workload in workloads(shop):
        for container in workload["spec"]["template"]["spec"]["containers"]:
            for entry in container["env"]:
                if any(word in entry["name"] for word in ("PASSWORD", "SECRET", "AUTH")):
                    assert set(entry) == {"name", "valueFrom"}


def test_the_database_is_migrated_and_filled_once_for_each_image(shop: Declared) -> None:
    jobs = {job["metadata"]["name"].rsplit("-", 1)[0]: job for job in shop.of("Job")}
    assert set(jobs) == {"migrate", "seed"}
    image = shop.one("Deployment", "shop")["spec"]["template"]["spec"]["containers"][0]["image"]
    assert jobs["migrate"]["spec"]["template"]["spec"]["containers"][0]["image"] == image
    assert "@sha256:" in image


def test_images_are_built_where_the_settings_say(
    ecommerce: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROUNDPLAN_REGISTRY", "registry.test:5000")
    monkeypatch.setenv("GROUNDPLAN_BUILDER_NAME", "mine")
    pulumi.runtime.set_all_config({"groundplan:builderName": "configured"})
    images = declare(ecommerce.program).of("Image")
    assert all(image["tags"][0].startswith("registry.test:5000/ecommerce/") for image in images)
    assert all(image["builder"] == {"name": "configured"} for image in images)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("nodePort", "many", "nodePort is not a number, got 'many'"),
        ("exposure", "Ingress", "exposure is not one of the known values, got 'Ingress'"),
        ("builder", "make", "builder is not one of the known values, got 'make'"),
        ("caCertificates", "/nowhere.pem", "caCertificates can't be read"),
    ],
)
def test_a_wrong_setting_is_named(ecommerce: ModuleType, name: str, value: str, complaint: str) -> None:
    pulumi.runtime.set_all_config({f"groundplan:{name}": value})
    with pytest.raises(SpecError) as raised:
        declare(ecommerce.program)
    assert complaint in str(raised.value)


def test_a_cluster_that_nobody_named_is_not_used(
    ecommerce: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBECONFIG")
    with pytest.raises(SpecError, match="no cluster is named"):
        declare(ecommerce.program)
    pulumi.runtime.set_all_config({"kubernetes:context": "mine"})
    assert declare(ecommerce.program).of("Deployment")


def _changed(ecommerce: ModuleType, tmp_path: Path, change: Callable[[str], str]) -> None:
    spec = tmp_path / "ecommerce.yaml"
    spec.write_text(change(SPEC.read_text()))
    ecommerce.SPEC = spec  # type: ignore[attr-defined]


def test_a_second_database_is_refused(ecommerce: ModuleType, tmp_path: Path) -> None:
    def change(text: str) -> str:
        head, tail = text.split("kind: database\n    replicas: 1", 1)
        return f"{head}kind: database\n    replicas: 2{tail}"

    _changed(ecommerce, tmp_path, change)
    with pytest.raises(SpecError, match=r"services\.database\.replicas doesn't fit, got 2"):
        declare(ecommerce.program)


def test_a_missing_service_is_named(ecommerce: ModuleType, tmp_path: Path) -> None:
    def change(text: str) -> str:
        return text.split("\n  monitoring:", 1)[0] + "\n"

    _changed(ecommerce, tmp_path, change)
    with pytest.raises(SpecError, match="a service of the shop is missing, got 'monitoring'"):
        declare(ecommerce.program)


def test_an_unknown_stack_is_refused_with_those_that_are_known() -> None:
    def main() -> None:
        runpy.run_path(str(STACKS / "__main__.py"))

    with pytest.raises(
        SpecError, match="no program for this stack, got 'ecomerce', must be one of ecommerce"
    ):
        declare(main, stack="ecomerce")


def test_what_the_stack_promises_is_among_its_outputs(ecommerce: ModuleType, monkeypatch: Any) -> None:
    exported: dict[str, Any] = {}
    monkeypatch.setattr(pulumi, "export", exported.__setitem__)
    declare(ecommerce.program)
    promised = exported["predicted"]["promises"]
    assert {"service": "shop", "metric": "p95", "verdict": "holds"}.items() <= next(
        promise for promise in promised if (promise["service"], promise["metric"]) == ("shop", "p95")
    ).items()
    json.dumps(exported["predicted"])
