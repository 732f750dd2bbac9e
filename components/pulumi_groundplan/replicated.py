"""A Deployment with all that keeps it available; the base of WebService, Worker and LoadBalancer."""

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from groundplan.spec import Kind, Service
from pulumi_groundplan import network, pods
from pulumi_groundplan.base import Component, Manifest
from pulumi_groundplan.promise import annotations, read_service


class Replicated(Component):
    """A component that runs two or more equal replicas."""

    def __init__(
        self, kind: Kind, name: str, args: Mapping[str, Any], opts: pulumi.ResourceOptions | None
    ) -> None:
        super().__init__(name, args, opts)
        if args.get("replicas") is None and not args.get("autoscaling"):
            args = {**args, "replicas": 2}
        self._kind = kind
        self._service: Service = read_service(kind, self._where, args)
        self._accepted: str | None = args.get("accept_single_replica")
        self._fewest = pods.fewest_replicas(self._where, self._service, self._accepted)

    def _metadata(self, suffix: str = "", **fields: Any) -> Manifest:
        return {
            "name": self._name + suffix,
            "namespace": self._namespace,
            "labels": self._labels(self._kind),
            **fields,
        }

    def _run(
        self,
        *,
        template: Mapping[str, Any],
        ingress: list[Manifest],
        reaches: list[str],
        depends_on: list[pulumi.Resource],
    ) -> k8s.apps.v1.Deployment:
        """Make the Deployment from the fields of its pod template, and everything around it."""
        labels = self._labels(self._kind)
        account = self._add("service-account", k8s.core.v1.ServiceAccount, {
            "metadata": self._metadata(),
            "automountServiceAccountToken": False,
        })  # fmt: skip
        calls = [call.to for call in self._service.calls]
        policy = self._add(
            "network-policy",
            k8s.networking.v1.NetworkPolicy,
            network.policy(self._name, self._namespace, labels, ingress, network.egress([*calls, *reaches])),
        )
        pod = pods.template(
            labels=labels,
            service_account=self._name,
            topologySpreadConstraints=pods.spread(self._name),
            **template,
        )
        promise = pods.workload_annotations(annotations(self._name, self._service), self._accepted)
        deployment = self._add(
            "deployment",
            k8s.apps.v1.Deployment,
            pods.deployment(self._metadata(annotations=promise), self._name, self._service, pod),
            # the pods' rules are there before the pods are
            pulumi.ResourceOptions(depends_on=[account, policy, *depends_on]),
        )
        if self._fewest > 1:
            self._add(
                "disruption-budget",
                k8s.policy.v1.PodDisruptionBudget,
                pods.disruption_budget(self._metadata(), self._name),
            )
        if self._service.autoscaling:
            self._add(
                "autoscaler",
                k8s.autoscaling.v2.HorizontalPodAutoscaler,
                pods.autoscaler(self._metadata(), self._name, self._service),
                pulumi.ResourceOptions(depends_on=[deployment]),
            )
        return deployment

    def _files(self, contents: Mapping[str, pulumi.Input[str]], child: str = "files") -> pulumi.Resource:
        """A ConfigMap of files by name."""
        return self._add(
            child,
            k8s.core.v1.ConfigMap,
            {"metadata": self._metadata(f"-{child}"), "data": dict(contents)},
        )
