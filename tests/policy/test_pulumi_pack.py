"""The policy pack as the engine asks it, without the engine."""

import threading
from typing import Any

import pytest
from google.protobuf import json_format, struct_pb2  # type: ignore[import-untyped]  # it has no types
from pulumi.runtime import proto
from pulumi_policy import EnforcementLevel
from pulumi_policy.policy import _PolicyAnalyzerServicer
from pulumi_policy.proxy import UNKNOWN_NUMBER_VALUE, UNKNOWN_OBJECT_VALUE, unknown_checking_proxy

from groundplan.policy.pulumi_pack import plain, policies, resource
from groundplan.policy.registry import all_rules
from groundplan.policy.tree import UNKNOWN

from .broken import container, find
from .test_rules import GOOD

SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
ADVISORY, MANDATORY = proto.ADVISORY, proto.MANDATORY


def token(manifest: dict[str, Any]) -> str:
    version = manifest["apiVersion"]
    return f"kubernetes:{version if '/' in version else 'core/' + version}:{manifest['kind']}"


def urn(manifest: dict[str, Any]) -> str:
    return f"urn:pulumi:test::shop::{token(manifest)}::{manifest['metadata']['name']}"


class Pack:
    """Asks the pack as the engine does."""

    def __init__(self) -> None:
        self.servicer: Any = _PolicyAnalyzerServicer(
            "groundplan", "0.0.1", policies(), EnforcementLevel.ADVISORY
        )

    def resource(self, manifest: dict[str, Any], kind: str | None = None) -> list[proto.AnalyzeDiagnostic]:
        request = proto.AnalyzeRequest(
            type=kind or token(manifest), urn=urn(manifest), name="x", properties=struct(manifest)
        )
        return list(self.servicer.Analyze(request, None).diagnostics)

    def stack(self, manifests: list[dict[str, Any]]) -> list[proto.AnalyzeDiagnostic]:
        resources = [
            proto.AnalyzerResource(
                type=token(one), urn=urn(one), name=one["metadata"]["name"], properties=struct(one)
            )
            for one in manifests
        ]
        request = proto.AnalyzeStackRequest(resources=resources)
        return list(self.servicer.AnalyzeStack(request, None).diagnostics)

    def configure(self, **levels: int) -> None:
        request = proto.ConfigureAnalyzerRequest()
        for name, level in levels.items():
            request.policyConfig[name.replace("_", "-")].enforcementLevel = level
        self.servicer.Configure(request, None)


def struct(data: dict[str, Any]) -> struct_pb2.Struct:
    return json_format.ParseDict(data, struct_pb2.Struct())


def summary(diagnostics: list[proto.AnalyzeDiagnostic]) -> set[tuple[str, int]]:
    return {(one.policyName, one.enforcementLevel) for one in diagnostics}


@pytest.fixture
def pack() -> Pack:
    return Pack()


@pytest.fixture
def manifests() -> list[dict[str, Any]]:
    copied: list[dict[str, Any]] = json_format.MessageToDict(struct({"all": GOOD}))["all"]
    return copied


def test_every_rule_is_a_policy_of_its_own_name_with_level_and_severity(pack: Pack) -> None:
    info = pack.servicer.GetAnalyzerInfo(None, None)
    named = {one.name: one for one in info.policies}
    assert len(named) == len(info.policies)
    assert set(named) == {rule.name for rule in all_rules()} | {"advice", "undecided"}
    for rule in all_rules():
        assert named[rule.name].enforcementLevel == MANDATORY
        assert named[rule.name].remediation_steps == rule.fix
    assert named["advice"].enforcementLevel == named["undecided"].enforcementLevel == ADVISORY
    assert "minimum" in named["replicas"].configSchema.properties


def test_a_good_stack_is_met_with_silence(pack: Pack, manifests: list[dict[str, Any]]) -> None:
    assert [said for manifest in manifests for said in pack.resource(manifest)] == []
    assert pack.stack(manifests) == []


def test_a_resource_is_refused_before_it_is_created(pack: Pack, manifests: list[dict[str, Any]]) -> None:
    deployment = find(manifests, "Deployment", "edge")
    deployment["spec"]["replicas"] = 1
    (said,) = pack.resource(deployment)
    assert (said.policyName, said.enforcementLevel, said.urn) == ("replicas", MANDATORY, urn(deployment))
    assert "spec.replicas is 1" in said.message


def test_what_was_refused_early_is_not_said_twice(pack: Pack, manifests: list[dict[str, Any]]) -> None:
    deployment = find(manifests, "Deployment", "edge")
    deployment["spec"]["replicas"] = 1
    early = pack.resource(deployment)
    assert summary(early) == {("replicas", MANDATORY)}
    assert "replicas" not in {said.policyName for said in pack.stack(manifests)}
    assert ("replicas", MANDATORY) in summary(Pack().stack(manifests))


def test_an_unknown_value_is_an_advisory_message_that_names_it(
    pack: Pack, manifests: list[dict[str, Any]]
) -> None:
    find(manifests, "Deployment", "edge")["spec"]["replicas"] = UNKNOWN_NUMBER_VALUE
    find(manifests, "StatefulSet", "database")["spec"]["template"] = UNKNOWN_OBJECT_VALUE
    said = pack.stack(manifests)
    assert summary(said) == {("undecided", ADVISORY)}
    text = "\n".join(one.message for one in said)
    assert "[replicas] Deployment shop/edge: spec.replicas isn't known before deployment" in text
    assert "[probes] StatefulSet shop/database: spec.template isn't known before deployment" in text
    assert "[availability]" in text


def test_an_unknown_value_does_not_hide_a_failure(pack: Pack, manifests: list[dict[str, Any]]) -> None:
    find(manifests, "Deployment", "shop")["spec"]["template"]["spec"]["hostNetwork"] = UNKNOWN_NUMBER_VALUE
    find(manifests, "Deployment", "edge")["spec"]["template"]["spec"]["hostPID"] = True
    said = summary(pack.stack(manifests))
    assert ("pod-security-restricted", MANDATORY) in said
    assert ("undecided", ADVISORY) in said


def test_a_rule_that_is_switched_off_says_nothing_at_all(pack: Pack, manifests: list[dict[str, Any]]) -> None:
    find(manifests, "Deployment", "edge")["spec"]["replicas"] = UNKNOWN_NUMBER_VALUE
    pack.configure(replicas=proto.DISABLED)
    assert all("[replicas]" not in said.message for said in pack.stack(manifests))


def test_a_level_can_be_lowered_and_raised(pack: Pack, manifests: list[dict[str, Any]]) -> None:
    find(manifests, "Deployment", "edge")["spec"]["replicas"] = 1
    find(manifests, "Deployment", "shop")["spec"]["template"]["spec"]["hostNetwork"] = UNKNOWN_NUMBER_VALUE
    pack.configure(replicas=ADVISORY, undecided=MANDATORY)
    said = summary(pack.stack(manifests))
    assert ("replicas", ADVISORY) in said
    assert ("undecided", MANDATORY) in said


def test_a_parameter_reaches_its_rule(pack: Pack, manifests: list[dict[str, Any]]) -> None:
    request = proto.ConfigureAnalyzerRequest()
    request.policyConfig["replicas"].enforcementLevel = MANDATORY
    request.policyConfig["replicas"].properties["minimum"] = 3
    pack.servicer.Configure(request, None)
    messages = [said.message for said in pack.stack(manifests) if said.policyName == "replicas"]
    assert len(messages) == 2
    assert all("must be at least 3" in message for message in messages)


def test_resources_of_other_providers_are_left_alone(pack: Pack, manifests: list[dict[str, Any]]) -> None:
    deployment = find(manifests, "Deployment", "edge")
    deployment["spec"]["replicas"] = 1
    assert pack.resource(deployment, "other:apps/v1:Deployment") == []
    assert resource("pulumi:providers:kubernetes", "urn", {}) is None


def test_one_question_never_answers_for_the_next(pack: Pack, manifests: list[dict[str, Any]]) -> None:
    deployment = find(manifests, "Deployment", "edge")
    assert pack.resource(deployment) == []
    deployment["spec"]["replicas"] = 1
    assert summary(pack.resource(deployment)) == {("replicas", MANDATORY)}
    find(manifests, "StatefulSet", "database")["spec"]["template"]["spec"]["hostPID"] = True
    assert ("pod-security-admission", MANDATORY) in summary(pack.stack(manifests))
    find(manifests, "Deployment", "orders")["spec"]["template"]["spec"]["hostIPC"] = True
    text = "\n".join(said.message for said in pack.stack(manifests))
    assert "hostIPC" in text


def test_questions_may_come_at_the_same_time(manifests: list[dict[str, Any]]) -> None:
    pack = Pack()
    said: dict[str, list[Any]] = {}
    deployments = [one for one in manifests if one["kind"] == "Deployment"]
    for one in deployments:
        one["spec"]["template"]["spec"]["hostPID"] = True
    threads = [
        threading.Thread(target=lambda one=one: said.update({urn(one): pack.resource(one)}))
        for one in deployments
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for address, diagnostics in said.items():
        assert {one.urn for one in diagnostics} == {address}
    assert len(said) == len(deployments)


def test_a_secret_never_reaches_a_message(pack: Pack, manifests: list[dict[str, Any]]) -> None:
    value = "hunter2"
    environment = [{"name": "PASSWORD", "value": {**SECRET, "value": value}}]
    container(manifests, "Deployment", "shop")["env"] = environment
    container(manifests, "Deployment", "shop")["securityContext"] = {**SECRET, "value": {"privileged": value}}
    container(manifests, "Deployment", "edge")["resources"] = {**SECRET, "value": value}
    find(manifests, "Deployment", "edge")["spec"]["replicas"] = {**SECRET, "value": value}
    secret = {
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": value},
    }  # fmt: skip
    said = pack.stack([*manifests, secret])
    assert said
    assert all(value not in one.message for one in said)
    assert value not in str(resource(token(secret), "urn", secret))


def test_plain_data_keeps_everything_but_marks_what_is_unknown() -> None:
    properties = unknown_checking_proxy(
        {"a": 1.0, "b": [UNKNOWN_NUMBER_VALUE, {"c": UNKNOWN_OBJECT_VALUE}], "__inputs": {}, "d": None}
    )
    assert plain(properties) == {"a": 1.0, "b": [UNKNOWN, {"c": UNKNOWN}], "d": None}


@pytest.mark.parametrize(
    ("kind", "stated", "read_kind", "group"),
    [
        ("kubernetes:apps/v1:Deployment", "apps/v1", "Deployment", "apps"),
        ("kubernetes:core/v1:Service", "v1", "Service", ""),
        ("kubernetes:core/v1:Service", None, "Service", ""),
        ("kubernetes:apps/v1:DeploymentPatch", "apps/v1", "DeploymentPatch", "apps"),
        ("kubernetes:helm.sh/v3:Release", None, "Release", "helm.sh"),
        ("kubernetes:networking.k8s.io/v1:NetworkPolicy", None, "NetworkPolicy", "networking.k8s.io"),
    ],
)
def test_kinds_and_groups_are_those_of_kubernetes(
    kind: str, stated: str | None, read_kind: str, group: str
) -> None:
    found = resource(kind, "urn", {"apiVersion": stated, "kind": "x"})
    assert found is not None
    assert (found.kind, found.group) == (read_kind, group)


def test_what_hides_from_a_preview_is_told(pack: Pack, manifests: list[dict[str, Any]]) -> None:
    release = {"apiVersion": "helm.sh/v3", "kind": "Release", "metadata": {"name": "chart"}}
    (said,) = pack.stack([*manifests, release])
    assert (said.policyName, said.urn) == ("undecided", urn(release))
    assert "[unseen]" in said.message
