"""Every field of the Pod Security Standards, in every place where it may stand."""

from typing import Any

import pytest

from .support import failures, fixture, put, stack_from

CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
# field below a container, values that level restricted forbids, values that it allows
OF_A_CONTAINER: list[tuple[tuple[str | int, ...], list[Any], list[Any]]] = [
    (("securityContext", "privileged"), [True], [False, None]),
    (("securityContext", "allowPrivilegeEscalation"), [True, None], [False]),
    (("securityContext", "runAsNonRoot"), [False], [True, None]),  # the pod says true
    (("securityContext", "runAsUser"), [0, 0.0], [1, 1000.0, None]),
    (("securityContext", "procMount"), ["Unmasked"], ["Default", None]),
    (("securityContext", "capabilities"), [{}, None, {"drop": ["NET_RAW"]}, {"drop": ["all"]}], []),
    (
        ("securityContext", "capabilities"),
        [{"drop": ["ALL"], "add": ["CHOWN"]}, {"drop": ["ALL"], "add": ["NET_BIND_SERVICE", "SYS_ADMIN"]}],
        [{"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}, {"drop": ["NET_RAW", "ALL"]}],
    ),
    (
        ("securityContext", "seccompProfile"),
        [{"type": "Unconfined"}, {"type": ""}],
        [{"type": "RuntimeDefault"}, {"type": "Localhost", "localhostProfile": "x.json"}, None],
    ),
    (
        ("securityContext", "appArmorProfile"),
        [{"type": "Unconfined"}],
        [{"type": "RuntimeDefault"}, {"type": "Localhost"}, None],
    ),
    (
        ("securityContext", "seLinuxOptions"),
        [{"type": "spc_t"}, {"user": "system_u"}, {"role": "system_r"}],
        [{}, {"type": "container_t"}, {"type": "container_engine_t"}, {"level": "s0"}, {"user": ""}],
    ),
    (("securityContext", "windowsOptions"), [{"hostProcess": True}], [{"hostProcess": False}, {}]),
    (("ports",), [[{"containerPort": 80, "hostPort": 80}]], [[{"containerPort": 80, "hostPort": 0}], []]),
    (
        ("livenessProbe",),
        [{"httpGet": {"port": 80, "host": "10.0.0.1"}}, {"tcpSocket": {"port": 80, "host": "10.0.0.1"}}],
        [{"httpGet": {"port": 80, "host": ""}}, {"exec": {"command": ["true"]}}],
    ),
    (("readinessProbe",), [{"httpGet": {"port": 80, "host": "x"}}], [{"httpGet": {"port": 80}}]),
    (("startupProbe",), [{"tcpSocket": {"port": 80, "host": "x"}}], [{"tcpSocket": {"port": 80}}]),
    (
        ("lifecycle",),
        [
            {"preStop": {"httpGet": {"port": 80, "host": "x"}}},
            {"postStart": {"tcpSocket": {"port": 80, "host": "x"}}},
        ],
        [{"preStop": {"exec": {"command": ["true"]}}}],
    ),
]
# field below the pod's spec
OF_A_POD: list[tuple[tuple[str | int, ...], list[Any], list[Any]]] = [
    (("hostNetwork",), [True], [False, None]),
    (("hostPID",), [True], [False, None]),
    (("hostIPC",), [True], [False, None]),
    (("securityContext", "runAsNonRoot"), [False, None], [True]),
    (("securityContext", "runAsUser"), [0], [1, None]),
    (("securityContext", "seccompProfile"), [{"type": "Unconfined"}, None], [{"type": "Localhost"}]),
    (("securityContext", "appArmorProfile"), [{"type": "Unconfined"}], [{"type": "RuntimeDefault"}]),
    (("securityContext", "seLinuxOptions"), [{"role": "r"}, {"type": "t"}], [{"type": "container_t"}]),
    (("securityContext", "windowsOptions"), [{"hostProcess": True}], [{"hostProcess": False}]),
    (
        ("securityContext", "sysctls"),
        [[{"name": "kernel.msgmax", "value": "1"}]],
        [[{"name": "net.ipv4.tcp_wmem", "value": "1"}], [], None],
    ),
    (
        ("volumes",),
        [
            [{"name": "a", "hostPath": {"path": "/"}}],
            [{"name": "a", "nfs": {"server": "s", "path": "/"}}],
            [{"name": "a", "emptyDir": {}}, {"name": "b", "gitRepo": {"repository": "r"}}],
        ],
        [
            [{"name": "without-a-source-it-is-an-empty-directory"}],
            [
                {"name": name, name: {}}
                for name in (
                    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image",
                    "persistentVolumeClaim", "projected", "secret",
                )
            ],
        ],
    ),
]  # fmt: skip

RULE = "pod-security-restricted"


def pod() -> dict[str, Any]:
    """A workload that keeps to level restricted, with a container in every role."""
    manifest = fixture(RULE, "good")[0]
    spec = manifest["spec"]["template"]["spec"]
    for role in CONTAINERS[1:]:
        spec[role] = [{**spec["containers"][0], "name": role}]
        spec[role][0]["securityContext"] = {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
    return manifest


def broken_fields(manifest: dict[str, Any]) -> set[str]:
    return {finding.judgement.field or "" for finding in failures(RULE, stack_from([manifest]))}


def spec_of(manifest: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = manifest["spec"]["template"]["spec"]
    return found


@pytest.mark.parametrize("role", CONTAINERS)
@pytest.mark.parametrize(
    ("path", "value"),
    [(path, value) for path, forbidden, _ in OF_A_CONTAINER for value in forbidden],
    ids=str,
)
def test_a_forbidden_value_in_a_container_is_found(role: str, path: tuple[str, ...], value: Any) -> None:
    manifest = pod()
    put(spec_of(manifest)[role][0], path, value)
    fields = broken_fields(manifest)
    assert len(fields) == 1
    assert fields.pop().startswith(f"spec.template.spec.{role}[0].{'.'.join(path)}")


@pytest.mark.parametrize("role", CONTAINERS)
@pytest.mark.parametrize(
    ("path", "value"), [(path, value) for path, _, allowed in OF_A_CONTAINER for value in allowed], ids=str
)
def test_an_allowed_value_in_a_container_passes(role: str, path: tuple[str, ...], value: Any) -> None:
    manifest = pod()
    put(spec_of(manifest)[role][0], path, value)
    assert broken_fields(manifest) == set()


@pytest.mark.parametrize(
    ("path", "value"), [(path, value) for path, forbidden, _ in OF_A_POD for value in forbidden], ids=str
)
def test_a_forbidden_value_in_the_pod_is_found(path: tuple[str, ...], value: Any) -> None:
    manifest = pod()
    put(spec_of(manifest), path, value)
    assert broken_fields(manifest)


@pytest.mark.parametrize(
    ("path", "value"), [(path, value) for path, _, allowed in OF_A_POD for value in allowed], ids=str
)
def test_an_allowed_value_in_the_pod_passes(path: tuple[str, ...], value: Any) -> None:
    manifest = pod()
    put(spec_of(manifest), path, value)
    assert broken_fields(manifest) == set()


def test_each_container_may_set_what_the_pod_leaves_out() -> None:
    manifest = pod()
    spec = spec_of(manifest)
    del spec["securityContext"]
    for role in CONTAINERS:
        spec[role][0]["securityContext"] |= {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
    assert broken_fields(manifest) == set()
    del spec["initContainers"][0]["securityContext"]["runAsNonRoot"]
    assert broken_fields(manifest) == {"spec.template.spec.initContainers[0].securityContext.runAsNonRoot"}


def test_a_pod_that_may_be_root_is_refused_even_if_all_its_containers_are_not() -> None:
    manifest = pod()
    spec = spec_of(manifest)
    spec["securityContext"]["runAsNonRoot"] = False
    for role in CONTAINERS:
        spec[role][0]["securityContext"]["runAsNonRoot"] = True
    assert broken_fields(manifest) == {"spec.template.spec.securityContext.runAsNonRoot"}


def test_root_in_a_user_namespace_is_not_root_on_the_node() -> None:
    manifest = pod()
    spec = spec_of(manifest)
    spec["securityContext"] |= {"runAsNonRoot": False, "runAsUser": 0}
    spec["hostUsers"] = False
    assert broken_fields(manifest) == set()


def test_windows_pods_need_no_linux_settings() -> None:
    manifest = pod()
    spec = spec_of(manifest)
    spec["os"] = {"name": "windows"}
    del spec["securityContext"]["seccompProfile"]
    for role in CONTAINERS:
        spec[role][0]["securityContext"] = {}
    assert broken_fields(manifest) == set()


@pytest.mark.parametrize(
    ("value", "fine"), [("unconfined", False), ("runtime/default", True), ("localhost/x", True)]
)
def test_the_older_annotation_of_app_armor_counts(value: str, fine: bool) -> None:
    manifest = pod()
    name = "container.apparmor.security.beta.kubernetes.io/shop"
    manifest["spec"]["template"]["metadata"]["annotations"] = {name: value}
    assert (broken_fields(manifest) == set()) is fine


@pytest.mark.parametrize(
    "kind", ["Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob"]
)
def test_every_kind_of_workload_is_read(kind: str) -> None:
    template = pod()["spec"]["template"]
    template["spec"]["hostPID"] = True
    group = {"Pod": "v1", "Job": "batch/v1", "CronJob": "batch/v1"}.get(kind, "apps/v1")
    spec: dict[str, Any] = {"template": template}
    if kind == "Pod":
        spec = template["spec"]
    elif kind == "CronJob":
        spec = {"jobTemplate": {"spec": spec}}
    fields = broken_fields({"kind": kind, "apiVersion": group, "metadata": {"name": "x"}, "spec": spec})
    assert {field.rpartition(".")[2] for field in fields} == {"hostPID"}


@pytest.mark.parametrize(
    ("level", "fields"),
    [
        ("privileged", set()),
        ("baseline", {"hostPID", "add"}),
        ("restricted", {"hostPID", "add", "allowPrivilegeEscalation"}),
        (
            "stricter",
            {
                "hostPID",
                "add",
                "allowPrivilegeEscalation",
                "metadata.labels[pod-security.kubernetes.io/enforce]",
            },
        ),
    ],
)
def test_a_namespace_refuses_what_its_level_forbids(level: str, fields: set[str]) -> None:
    manifest = pod()
    spec = spec_of(manifest)
    spec["hostPID"] = True
    context = spec["containers"][0]["securityContext"]
    del context["allowPrivilegeEscalation"]
    context["capabilities"]["add"] = ["SYS_ADMIN"]
    space = {
        "kind": "Namespace",
        "apiVersion": "v1",
        "metadata": {"name": "default", "labels": {"pod-security.kubernetes.io/enforce": level}},
    }
    found = {
        finding.judgement.field or ""
        for finding in failures("pod-security-admission", stack_from([manifest, space]))
    }
    assert {field if field.startswith("metadata") else field.rpartition(".")[2] for field in found} == fields
