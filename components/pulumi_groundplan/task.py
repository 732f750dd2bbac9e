"""A program that runs once, such as the migrations of a database."""

import hashlib
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from pulumi_groundplan import network, pods
from pulumi_groundplan.base import Component
from pulumi_groundplan.process import process
from pulumi_groundplan.promise import PodArgs

DEFAULT_SIZE: pods.Size = {"cpu": "50m", "memory": "128Mi"}
DEFAULT_TIMEOUT_SECONDS = 600
KEPT_SECONDS = 24 * 3600


class TaskArgs(PodArgs, pods.ProcessArgs, total=False):
    """Arguments of a Task."""

    timeout_seconds: int
    """Longest time that the task may take, over all tries. Default 600."""
    retries: int
    """How often it is tried again. Default 3. The program must be safe to repeat."""


class Task(Component):
    """A program that runs to its end once for each image and set of arguments; what depends on the Task waits
    for it. The finished Job is removed after a day."""

    job: pulumi.Output[str]
    """Name of the Job."""

    def __init__(self, name: str, args: TaskArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args, opts)
        labels = self._labels("task")
        metadata = {"name": name, "namespace": self._namespace, "labels": labels}
        program = process(args)
        if program.files:
            program.depends_on.append(
                self._add(
                    "files",
                    k8s.core.v1.ConfigMap,
                    {"metadata": {**metadata, "name": f"{name}-files"}, "data": program.files},
                )
            )
        before = [
            self._add(
                "service-account",
                k8s.core.v1.ServiceAccount,
                {"metadata": metadata, "automountServiceAccountToken": False},
            ),
            self._add(
                "network-policy",
                k8s.networking.v1.NetworkPolicy,
                network.policy(
                    name, self._namespace, labels, [], network.egress(args.get("connects_to") or [])
                ),
            ),
        ]
        main = pods.container(
            name=name,
            image=args["image"],
            resources=pods.resources(args, DEFAULT_SIZE),
            **program.container_fields,
        )
        spec = {
            "backoffLimit": int(args.get("retries", 3)),
            "activeDeadlineSeconds": int(args.get("timeout_seconds") or DEFAULT_TIMEOUT_SECONDS),
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": pods.template(
                labels=labels,
                service_account=name,
                containers=[main],
                volumes=program.volumes(name),
                annotations=program.annotations,
                user_id=program.user_id,
                grace_seconds=30,
                restartPolicy="Never",
            ),
        }
        job = self._add(
            "job",
            k8s.batch.v1.Job,
            {
                "metadata": {
                    **metadata,
                    # the name changes with what runs: Jobs can't be changed, and no run is repeated in vain
                    "name": _fingerprint(args).apply(lambda digest: f"{name}-{digest}"),
                    # a run that failed is made anew by the next deployment
                    "annotations": {"pulumi.com/replaceUnready": "true"},
                },
                "spec": spec,
            },
            pulumi.ResourceOptions(depends_on=[*before, *program.depends_on]),
        )
        self.job = job.metadata.apply(lambda known: str(known["name"]))
        self._finish({"job": self.job})


def _fingerprint(args: Mapping[str, Any]) -> pulumi.Output[str]:
    """A digest of the image and all other arguments."""
    stated = pulumi.Output.json_dumps(args, sort_keys=True)
    return stated.apply(lambda text: hashlib.sha256(text.encode()).hexdigest()[:10])
