"""What a WebService makes of its arguments."""

import json
from typing import Any

import pytest

from groundplan.errors import SpecError
from groundplan.spec import SERVICE_ANNOTATION, SERVICE_NAME_ANNOTATION, service_from_annotation
from pulumi_groundplan import Dispatch, WebService
from tests.components.recorder import COMMON, Declared, arguments, declare

HEALTH = {"liveness": "/healthz", "readiness": "/readyz"}


def web(**args: Any) -> Declared:
    return declare(lambda: WebService("shop", arguments(args, health=HEALTH)))


def test_replicas_default_to_two_with_a_budget_that_allows_one_eviction() -> None:
    declared = web()
    assert declared.one("Deployment")["spec"]["replicas"] == 2
    budget = declared.one("PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert not declared.of("HorizontalPodAutoscaler")


def test_replicas_are_left_to_the_autoscaler() -> None:
    declared = web(autoscaling={"min": 2, "max": 6, "target_cpu_utilization": 0.7})
    assert "replicas" not in declared.one("Deployment")["spec"]
    scaler = declared.one("HorizontalPodAutoscaler")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 6)
    assert scaler["metrics"][0]["resource"]["target"]["averageUtilization"] == 70
    assert scaler["scaleTargetRef"]["name"] == declared.one("Deployment")["metadata"]["name"]


def test_whole_numbers_that_arrive_as_floats_stay_whole() -> None:
    declared = web(replicas=3.0, port=8080.0)
    assert declared.one("Deployment")["spec"]["replicas"] == 3
    assert declared.container("Deployment")["ports"][0]["containerPort"] == 8080


def test_one_replica_needs_a_reason() -> None:
    with pytest.raises(SpecError, match="replicas is too low, got 1, must be at least 2") as raised:
        web(replicas=1)
    assert "WebService shop" in str(raised.value)


def test_an_autoscaler_may_not_go_down_to_one_without_a_reason() -> None:
    with pytest.raises(SpecError, match=r"autoscaling\.min is too low"):
        web(autoscaling={"min": 1, "max": 3})


def test_one_accepted_replica_gets_no_budget_and_states_the_reason() -> None:
    declared = web(replicas=1, accept_single_replica="a preview for one person")
    assert not declared.of("PodDisruptionBudget")
    annotations = declared.one("Deployment")["metadata"]["annotations"]
    assert annotations["groundplan.dev/single-replica"] == "a preview for one person"


def test_pods_pass_pod_security_restricted() -> None:
    declared = web(writable=["/tmp", "/var/cache/shop"])
    pod = declared.one("Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    container = declared.container("Deployment")
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/tmp", "/var/cache/shop"]
    assert all("emptyDir" in volume for volume in pod["volumes"])


def test_memory_is_limited_to_its_request_and_cpu_is_not_limited() -> None:
    resources = web(cpu="200m", memory="96Mi").container("Deployment")["resources"]
    assert resources == {"requests": {"cpu": "200m", "memory": "96Mi"}, "limits": {"memory": "96Mi"}}


def test_limits_can_be_stated() -> None:
    resources = web(cpu="200m", cpu_limit="1", memory="96Mi", memory_limit="128Mi").container("Deployment")
    assert resources["resources"]["limits"] == {"cpu": "1", "memory": "128Mi"}


def test_probes_ask_the_stated_paths() -> None:
    container = web(health={**HEALTH, "startup_seconds": 90}).container("Deployment")
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] == 90


def test_health_is_never_guessed() -> None:
    with pytest.raises(SpecError, match="health is missing"):
        declare(lambda: WebService("shop", COMMON))


def test_a_replica_serves_on_while_it_leaves_the_endpoints() -> None:
    declared = web(drain_seconds=7, stop_seconds=20)
    assert declared.container("Deployment")["lifecycle"] == {"preStop": {"sleep": {"seconds": 7}}}
    assert declared.one("Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 27


def test_replicas_spread_over_nodes_and_zones() -> None:
    constraints = web().one("Deployment")["spec"]["template"]["spec"]["topologySpreadConstraints"]
    by_key = {constraint["topologyKey"]: constraint for constraint in constraints}
    assert by_key["kubernetes.io/hostname"]["whenUnsatisfiable"] == "DoNotSchedule"
    assert by_key["kubernetes.io/hostname"]["nodeTaintsPolicy"] == "Honor"
    assert by_key["topology.kubernetes.io/zone"]["whenUnsatisfiable"] == "ScheduleAnyway"
    assert all(
        item["labelSelector"]["matchLabels"] == {"app.kubernetes.io/name": "shop"} for item in constraints
    )


def test_the_promise_travels_with_the_deployment() -> None:
    declared = web(
        slo={"p95": "300ms", "availability": 0.995},
        service_time={"mean": "12ms", "scv": 1.5},
        calls=[{"to": "database", "count": 2}],
        concurrency=2,
        dispatch=Dispatch.LEAST_CONNECTIONS,
        replicas=3,
    )
    annotations = declared.one("Deployment")["metadata"]["annotations"]
    assert annotations[SERVICE_NAME_ANNOTATION] == "shop"
    service = service_from_annotation(annotations[SERVICE_ANNOTATION], "test")
    assert service.slo is not None
    assert service.slo.p95 == pytest.approx(0.3)
    assert service.dispatch == "least-connections"
    assert service.concurrency == 2
    assert "replicas" not in json.loads(annotations[SERVICE_ANNOTATION])


def test_only_named_components_and_monitoring_may_connect() -> None:
    declared = web(allow_from=["edge"], metrics={}, calls=[{"to": "database"}], connects_to=["cache"])
    spec = declared.one("NetworkPolicy")["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    sources = [rule["from"][0]["podSelector"]["matchLabels"] for rule in spec["ingress"]]
    assert sources == [
        {"app.kubernetes.io/name": "edge"},
        {"app.kubernetes.io/component": "monitoring"},
    ]
    targets = [
        peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"] for peer in spec["egress"][1]["to"]
    ]
    assert targets == ["cache", "database"]


def test_nobody_may_connect_unless_named() -> None:
    assert web().one("NetworkPolicy")["spec"]["ingress"] == []


def test_metrics_are_announced_to_monitoring() -> None:
    declared = web(metrics={"path": "/stats", "port": 9100})
    annotations = declared.one("Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == "9100"
    assert annotations["prometheus.io/path"] == "/stats"
    assert {port["name"]: port["containerPort"] for port in declared.container("Deployment")["ports"]} == {
        "http": 8000,
        "metrics": 9100,
    }


def test_a_headless_service_lists_the_pods() -> None:
    declared = web()
    assert declared.one("Service", "shop-pods")["spec"]["clusterIP"] == "None"
    assert "clusterIP" not in declared.one("Service", "shop")["spec"]


def test_a_changed_file_changes_the_pods() -> None:
    def digest(text: str) -> str:
        template = web(files={"plan.yaml": text}).one("Deployment")["spec"]["template"]
        return str(template["metadata"]["annotations"]["groundplan.dev/files"])

    assert digest("a") != digest("b")
    assert digest("a") == digest("a")


def test_environment_variables_come_from_text_and_from_secrets() -> None:
    declared = web(env={"MODE": "live"}, secret_env={"KEY": {"secret": "keys", "key": "django"}})
    assert declared.container("Deployment")["env"] == [
        {"name": "MODE", "value": "live"},
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "django"}}},
    ]


def test_an_override_reaches_its_child_and_leaves_the_rest() -> None:
    declared = web(
        overrides={
            "deployment": {
                "spec": {
                    "template": {
                        "spec": {
                            "priorityClassName": "high",
                            "containers": [{"name": "shop", "stdin": True}],
                            "enableServiceLinks": None,
                        }
                    }
                }
            }
        }
    )
    pod = declared.one("Deployment")["spec"]["template"]["spec"]
    assert pod["priorityClassName"] == "high"
    assert "enableServiceLinks" not in pod
    assert pod["containers"][0]["stdin"] is True
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


def test_an_override_of_a_child_that_is_not_there_is_an_error() -> None:
    with pytest.raises(SpecError, match="no such child to override, got 'deploymnet'"):
        web(overrides={"deploymnet": {}})


def test_an_unknown_argument_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(SpecError, match="Did you mean replicas"):
        web(replica=3)


def test_a_wrong_promise_names_field_value_and_bound() -> None:
    with pytest.raises(
        SpecError, match=r"WebService shop: slo.availability is out of range, got 1.5"
    ) as raised:
        web(slo={"availability": 1.5})
    assert "less than 1" in str(raised.value)


def test_a_name_that_kubernetes_refuses_is_an_error() -> None:
    with pytest.raises(SpecError, match="doesn't fit Kubernetes, got 'Shop'"):
        declare(lambda: WebService("Shop", arguments({}, health=HEALTH)))
