"""What Environment and ContainerImage make of their arguments."""

from pathlib import Path
from typing import Any

import pulumi
import pytest

from groundplan.errors import SpecError
from groundplan.spec import SYSTEM_ANNOTATION, system_from_annotation
from pulumi_groundplan import IMAGES, ContainerImage, Environment, ImageBuilder
from tests.components.recorder import Declared, declare


def environment(**args: Any) -> Declared:
    return declare(lambda: Environment("shop", {"quota": {}, **args}))  # type: ignore[typeddict-item]


def image(folder: Path, **args: Any) -> Declared:
    return declare(
        lambda: ContainerImage("web", {"registry": "registry.test", "context": str(folder), **args})  # type: ignore[typeddict-item]
    )


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\n")
    return tmp_path


def test_only_restricted_pods_are_let_in() -> None:
    labels = environment().one("Namespace")["metadata"]["labels"]
    for mode in ("enforce", "audit", "warn"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"


def test_nothing_may_connect_to_anything() -> None:
    policy = environment().one("NetworkPolicy")["spec"]
    assert policy == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_the_quota_limits_what_is_stated_and_nothing_else() -> None:
    hard = environment(quota={"cpu": "2", "pods": 20.0}).one("ResourceQuota")["spec"]["hard"]
    assert hard == {"requests.cpu": "2", "pods": "20"}


def test_the_system_travels_with_the_namespace() -> None:
    declared = environment(
        platform={"nodes": 2, "zones": 2}, budget={"amount_per_month": 60, "currency": "USD"}
    )
    text = declared.one("Namespace")["metadata"]["annotations"][SYSTEM_ANNOTATION]
    system = system_from_annotation(text, "test")
    assert (system.name, system.platform.zones) == ("shop", 2)
    assert system.budget is not None
    assert system.budget.amount_per_month == 60


def test_a_wrong_platform_names_the_field() -> None:
    with pytest.raises(SpecError, match=r"platform\.zones there are more zones than nodes"):
        environment(platform={"nodes": 1, "zones": 2})


def test_an_image_is_built_by_buildkit_and_pushed(context: Path) -> None:
    declared = image(context, base="base.test/debian@sha256:1", builder_name="mine", ca_certificates="PEM")
    built = declared.one("Image")
    assert built["push"] is True
    assert built["tags"] == ["registry.test/web:groundplan"]
    assert built["buildArgs"] == {"BASE": "base.test/debian@sha256:1"}
    assert built["builder"] == {"name": "mine"}
    assert built["buildOnPreview"] is False
    assert built["ignoreSecretsInDiffCalculation"] == ["ca"]


def test_the_reference_has_the_digest(context: Path) -> None:
    seen: list[str] = []
    declare(
        lambda: ContainerImage("web", {"registry": "registry.test", "context": str(context)}).ref.apply(
            seen.append
        )
    )
    assert seen == [f"registry.test/web:groundplan@sha256:{'0' * 64}"]


def test_an_image_is_built_by_the_docker_engine_at_hand(context: Path) -> None:
    built = image(context, builder=ImageBuilder.DOCKER).one("Image")
    assert built["imageName"] == "registry.test/web:groundplan"
    assert built["build"]["context"] == str(context)


def test_the_docker_engine_takes_no_build_secrets(context: Path) -> None:
    with pytest.raises(SpecError, match="takes no build secrets"):
        image(context, builder=ImageBuilder.DOCKER, ca_certificates="PEM")


def test_a_missing_dockerfile_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="there is no Dockerfile"):
        image(tmp_path)


@pytest.mark.parametrize("name", ["nginx", "postgresql", "prometheus", "redis"])
def test_images_run_as_a_fixed_number_under_an_init(name: str) -> None:
    text = (IMAGES / name / "Dockerfile").read_text()
    assert "USER 10001:10001" in text
    assert 'ENTRYPOINT ["/usr/bin/catatonit", "--"' in text
    assert "FROM ${BASE}" in text


def test_a_value_that_is_not_known_before_the_deployment_is_an_error() -> None:
    with pytest.raises(SpecError, match="platform is an output"):
        environment(platform=pulumi.Output.from_input({"nodes": 2}))
