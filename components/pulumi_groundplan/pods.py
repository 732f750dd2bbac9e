"""The parts of workloads: pods that pass Pod Security `restricted`, spread, drain and scale."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import pulumi

from groundplan.errors import SpecError
from groundplan.spec import Service
from pulumi_groundplan.base import Manifest, selector
from pulumi_groundplan.promise import SINGLE_REPLICA_ANNOTATION

USER_ID = 10001
"""User and group of every image of this package; above the range that distributions give to system users."""

FILES_FOLDER = "/config"
"""Where `files` of a process are mounted."""


class SecretKey(TypedDict):
    """One entry of a Secret in the same namespace."""

    secret: pulumi.Input[str]
    """Name of the Secret."""
    key: pulumi.Input[str]
    """Key within the Secret."""


class ProcessArgs(TypedDict, total=False):
    """Arguments of components that run a program of one's own."""

    command: list[str]
    """Replaces the image's entry point."""
    arguments: list[str]
    """Replaces the image's arguments."""
    env: dict[str, pulumi.Input[str]]
    """Environment variables in plain text."""
    secret_env: dict[str, SecretKey]
    """Environment variables from Secrets."""
    files: dict[str, pulumi.Input[str]]
    """Files by name, mounted read-only in /config. A change restarts the replicas."""
    writable: list[str]
    """Folders that the program writes to; the rest of its file system is read-only. Default /tmp."""
    user_id: int
    """Numeric user and group that the program runs as. Default 10001."""


class Size(TypedDict):
    """Requests of one container."""

    cpu: str
    memory: str


def resources(args: Mapping[str, Any], default: Size) -> Manifest:
    """Requests and limits; the CPU has no limit unless asked for, memory is limited to its request."""
    memory = args.get("memory") or default["memory"]
    limits: Manifest = {"memory": args.get("memory_limit") or memory}
    if args.get("cpu_limit"):
        limits["cpu"] = args["cpu_limit"]
    return {"requests": {"cpu": args.get("cpu") or default["cpu"], "memory": memory}, "limits": limits}


def environment(args: Mapping[str, Any]) -> list[Manifest]:
    """The environment variables of ProcessArgs, in a stable order."""
    plain = [{"name": name, "value": value} for name, value in sorted((args.get("env") or {}).items())]
    secret = [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": entry["secret"], "key": entry["key"]}}}
        for name, entry in sorted((args.get("secret_env") or {}).items())
    ]
    return plain + secret


def container_security() -> Manifest:
    """Pod Security `restricted`, and a root file system that can't be changed."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container(
    *,
    name: str,
    image: pulumi.Input[str],
    resources: Manifest,
    mounts: Mapping[str, str],
    env: Sequence[Manifest] = (),
    ports: Mapping[str, int] | None = None,
    read_only_mounts: Sequence[str] = (),
    **fields: Any,
) -> Manifest:
    """A container. mounts: volume names by path; ports: numbers by name; fields: anything else it needs."""
    return {
        "name": name,
        "image": image,
        # a digest never changes, and a tag that does is pulled anew only when it isn't there
        "imagePullPolicy": "IfNotPresent",
        "env": list(env),
        "ports": [
            {"name": port, "containerPort": number, "protocol": "TCP"}
            for port, number in (ports or {}).items()
        ],
        "resources": resources,
        "securityContext": container_security(),
        "volumeMounts": [
            {"name": volume, "mountPath": path, **({"readOnly": True} if volume in read_only_mounts else {})}
            for path, volume in mounts.items()
        ],
        **{key: value for key, value in fields.items() if value},
    }


def template(
    *,
    labels: Mapping[str, Any],
    service_account: pulumi.Input[str] | None,
    containers: list[Manifest],
    volumes: list[Manifest],
    grace_seconds: int,
    user_id: int = USER_ID,
    annotations: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Manifest:
    """A pod template that passes Pod Security `restricted`. fields: anything else that the pod needs."""
    return {
        "metadata": {"labels": dict(labels), "annotations": dict(annotations or {})},
        "spec": {
            **({"serviceAccountName": service_account} if service_account else {}),
            "automountServiceAccountToken": False,
            # the old way of service discovery: dozens of variables, which also clash with one's own
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": user_id,
                "runAsGroup": user_id,
                "fsGroup": user_id,
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "terminationGracePeriodSeconds": grace_seconds,
            "containers": containers,
            "volumes": volumes,
            **fields,
        },
    }


def spread(name: str) -> list[Manifest]:
    """Spread the replicas of each version evenly over nodes, and over zones where there are any.

    Nodes are a must: two replicas on one node are lost together. A cordoned node doesn't count, or its pods
    could go nowhere during a drain. Zones are a wish, because many clusters don't label theirs, and a must
    would then leave every pod unscheduled.
    """
    common = {"maxSkew": 1, "labelSelector": {"matchLabels": selector(name)}, "nodeTaintsPolicy": "Honor"}
    return [
        {
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "DoNotSchedule",
            "matchLabelKeys": ["pod-template-hash"],
            **common,
        },
        {
            "topologyKey": "topology.kubernetes.io/zone",
            "whenUnsatisfiable": "ScheduleAnyway",
            "matchLabelKeys": ["pod-template-hash"],
            **common,
        },
    ]


def drain(seconds: int) -> Manifest:
    """Serve on while the pod leaves the endpoints, its name's address list and the proxies' caches."""
    return {"preStop": {"sleep": {"seconds": seconds}}}


def http_probe(path: str, port: str, *, period: int, failures: int, timeout: int = 2) -> Manifest:
    """A probe that counts a status from 200 to 399 as success."""
    return {
        "httpGet": {"path": path, "port": port},
        "periodSeconds": period,
        "failureThreshold": failures,
        "timeoutSeconds": timeout,
    }


def exec_probe(command: Sequence[str], *, period: int, failures: int, timeout: int) -> Manifest:
    """A probe that counts exit code 0 of a command in the container as success."""
    return {
        "exec": {"command": list(command)},
        "periodSeconds": period,
        "failureThreshold": failures,
        "timeoutSeconds": timeout,
    }


def scratch(name: str, size: str = "64Mi") -> Manifest:
    """A volume that lives and dies with its pod."""
    return {"name": name, "emptyDir": {"sizeLimit": size}}


def writable_folders(paths: Sequence[str]) -> tuple[dict[str, str], list[Manifest]]:
    """Mounts (volume by path) and volumes for folders that a program writes to."""
    mounts = {path: f"writable-{index}" for index, path in enumerate(paths)}
    return mounts, [scratch(volume, "256Mi") for volume in mounts.values()]


def checksum(contents: Mapping[str, pulumi.Input[str]]) -> pulumi.Output[str]:
    """A digest of file contents; on a pod template it makes a change of them roll out."""
    return pulumi.Output.all(**contents).apply(
        lambda known: hashlib.sha256(repr(sorted(known.items())).encode()).hexdigest()[:16]
    )


def fewest_replicas(where: str, service: Service, accepted: str | None) -> int:
    """The smallest number of replicas that run in normal operation. Raises SpecError for 0, and for 1 without
    a reason."""
    fewest = service.autoscaling.min if service.autoscaling else service.replicas
    if not fewest or (fewest == 1 and not accepted):
        raise SpecError(
            "autoscaling.min is too low" if service.autoscaling else "replicas is too low",
            where=where,
            value=fewest,
            bound="at least 2, so that a drain or a rollout doesn't stop the service",
            fix="Raise it, or say in accept_single_replica why one replica is enough.",
        )
    return fewest


def workload_annotations(promise: Mapping[str, str], accepted: str | None) -> dict[str, str]:
    """The annotations of a workload: its promise, and why a single replica is accepted, if it is."""
    return {**promise, **({SINGLE_REPLICA_ANNOTATION: accepted} if accepted else {})}


def deployment(
    metadata: Manifest, name: str, service: Service, pod: Manifest, *, progress_seconds: int = 300
) -> Manifest:
    """A Deployment that adds a replica before it takes one away; an autoscaler, if any, sets their number."""
    return {
        "metadata": metadata,
        "spec": {
            **({} if service.autoscaling else {"replicas": service.replicas}),
            "selector": {"matchLabels": selector(name)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "revisionHistoryLimit": 3,
            "progressDeadlineSeconds": progress_seconds,
            "template": pod,
        },
    }


def disruption_budget(metadata: Manifest, name: str) -> Manifest:
    """Let drains take one replica at a time; a replica that isn't ready anyway never holds a drain up."""
    return {
        "metadata": metadata,
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": selector(name)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }


def autoscaler(metadata: Manifest, name: str, service: Service) -> Manifest:
    """A HorizontalPodAutoscaler on CPU use: up at once, down after five quiet minutes."""
    assert service.autoscaling
    scaling = service.autoscaling
    return {
        "metadata": metadata,
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": scaling.min,
            "maxReplicas": scaling.max,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {
                            "type": "Utilization",
                            "averageUtilization": round(100 * scaling.target_cpu_utilization),
                        },
                    },
                }
            ],
            "behavior": {
                "scaleUp": {"stabilizationWindowSeconds": 0},
                "scaleDown": {"stabilizationWindowSeconds": 300},
            },
        },
    }


def service(
    metadata: Manifest, name: str, ports: Mapping[str, int], *, headless: bool = False, **fields: Any
) -> Manifest:
    """A Service on the component's pods, port for port; headless: its name lists the pods that are ready."""
    return {
        "metadata": metadata,
        "spec": {
            "selector": selector(name),
            "ports": [
                {"name": port, "port": number, "targetPort": port, "protocol": "TCP"}
                for port, number in ports.items()
            ],
            **({"clusterIP": "None"} if headless else {}),
            **fields,
        },
    }
