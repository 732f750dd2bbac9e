"""A StatefulSet of one replica; the base of Cache, Broker, Database and Monitoring."""

from collections.abc import Mapping
from typing import Any, TypedDict

import pulumi
import pulumi_kubernetes as k8s

from groundplan.spec import Kind
from pulumi_groundplan import credentials, network, pods
from pulumi_groundplan.base import Component, Manifest, selector
from pulumi_groundplan.promise import annotations, known, read_service

DEFAULT_STOP_SECONDS = 60


class CredentialArgs(TypedDict, total=False):
    """How clients prove who they are."""

    password: pulumi.Input[str]
    """Password that clients must give, best a secret of the stack's configuration. Unset: one is made at the
    first deployment and kept."""


class VolumeArgs(TypedDict, total=False):
    """Where data is kept."""

    storage: str
    """Size of the volume, such as 2Gi. Default 1Gi."""
    storage_class: str
    """StorageClass of the volume. Unset: the cluster's default."""


class Stateful(Component):
    """A server with one replica, and, if asked, a password and a volume."""

    def __init__(
        self,
        kind: Kind,
        name: str,
        args: Mapping[str, Any],
        opts: pulumi.ResourceOptions | None,
        *,
        port: int,
        accepted: str,
        label: str | None = None,
    ) -> None:
        super().__init__(name, args, opts)
        self._label = label or kind
        self._port = port
        self._accepted = accepted
        self._service = read_service(kind, self._where, {**args, "replicas": 1})

    def _credentials(self, args: Mapping[str, Any]) -> k8s.core.v1.Secret:
        """The Secret `<name>-credentials`, which holds the password."""
        given = args.get("password")
        return self._add(
            "credentials",
            k8s.core.v1.Secret,
            credentials.manifest(
                self._metadata("-credentials"),
                {credentials.PASSWORD_KEY: credentials.generate() if given is None else given},
            ),
            credentials.kept() if given is None else None,
        )

    @property
    def _password(self) -> Manifest:
        """Where an environment variable finds the password."""
        return {"secretKeyRef": {"name": f"{self._name}-credentials", "key": credentials.PASSWORD_KEY}}

    def _metadata(self, suffix: str = "", **fields: Any) -> Manifest:
        return {
            "name": self._name + suffix,
            "namespace": self._namespace,
            "labels": self._labels(self._label),
            **fields,
        }

    def _claim(self, name: str, args: Mapping[str, Any], size: str) -> Manifest:
        """The claim of a volume that one node mounts at a time."""
        storage_class = known(args.get("storage_class"), self._where, "storage_class")
        return {
            "metadata": {"name": name, "labels": self._labels(self._label)},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": size}},
                **({"storageClassName": storage_class} if storage_class else {}),
            },
        }

    def _run(
        self,
        *,
        template: Mapping[str, Any],
        claims: list[Manifest],
        ingress: list[Manifest],
        egress: list[Manifest],
        depends_on: list[pulumi.Resource],
    ) -> k8s.core.v1.Service:
        """Make the StatefulSet from the fields of its pod template, and everything around it."""
        name, labels = self._name, self._labels(self._label)
        account = self._add(
            "service-account",
            k8s.core.v1.ServiceAccount,
            {"metadata": self._metadata(), "automountServiceAccountToken": False},
        )
        policy = self._add(
            "network-policy",
            k8s.networking.v1.NetworkPolicy,
            network.policy(name, self._namespace, labels, ingress, egress),
        )
        # Clients use an address that outlasts the pod: name servers would keep a pod's own for a while.
        # Nothing here depends on these Services: Pulumi counts one as made once a pod stands behind it.
        service = self._add(
            "service", k8s.core.v1.Service, pods.service(self._metadata(), name, {"tcp": self._port})
        )
        self._add(
            "pods",
            k8s.core.v1.Service,
            pods.service(self._metadata("-pods"), name, {"tcp": self._port}, headless=True),
        )
        promise = pods.workload_annotations(annotations(name, self._service), self._accepted)
        spec = {
            "serviceName": f"{name}-pods",
            "replicas": 1,
            "selector": {"matchLabels": selector(name)},
            "updateStrategy": {"type": "RollingUpdate"},
            # in the default order a pod that never gets ready would block the update that repairs it
            "podManagementPolicy": "Parallel",
            "revisionHistoryLimit": 3,
            # deleting the StatefulSet never deletes data
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            "volumeClaimTemplates": claims,
            "template": pods.template(
                labels=labels, service_account=name, grace_seconds=DEFAULT_STOP_SECONDS, **template
            ),
        }
        self._add(
            "stateful-set",
            k8s.apps.v1.StatefulSet,
            {"metadata": self._metadata(annotations=promise), "spec": spec},
            pulumi.ResourceOptions(depends_on=[account, policy, *depends_on]),
        )
        return service
