"""One face for every kind of cluster: the embedded one, kind, and the user's own."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import yaml

from groundplan.cluster import embedded
from groundplan.cluster.context import DEFAULT_WORKERS, ClusterConfig, Paths
from groundplan.errors import ClusterError
from groundplan.progress import QUIET, Progress
from groundplan.toolchain import ensure

KIND_TIMEOUT = "180s"


class Cluster(Protocol):
    """A cluster that serves.

    registry: host and port of an image registry that its nodes pull from without credentials, or None.
    """

    @property
    def name(self) -> str: ...
    @property
    def kubeconfig(self) -> Path: ...
    @property
    def context(self) -> str: ...
    @property
    def registry(self) -> str | None: ...


class Adapter(Protocol):
    """How one kind of cluster is brought up and taken down."""

    def up(self, progress: Progress = QUIET) -> Cluster:
        """Make sure that the cluster serves; raise ClusterError with the reason when it doesn't."""

    def down(self, progress: Progress = QUIET) -> None:
        """Remove what `up` made, and nothing else."""


@dataclass(frozen=True)
class ReachedCluster:
    """A cluster that was found serving, with no registry of groundplan's."""

    name: str
    kubeconfig: Path
    context: str
    registry: str | None = None


@dataclass(frozen=True)
class Embedded:
    """The cluster that groundplan makes itself, without Docker."""

    config: ClusterConfig

    def up(self, progress: Progress = QUIET) -> Cluster:
        return embedded.up(self.config, progress)

    def down(self, progress: Progress = QUIET) -> None:
        embedded.down(self.config.name, progress)


@dataclass(frozen=True)
class Existing:
    """A cluster of the user's own, named by a kubeconfig; it is never created or removed.

    context: the context in the kubeconfig, or None for its current one.
    """

    kubeconfig: Path
    context: str | None = None

    def up(self, progress: Progress = QUIET) -> Cluster:
        if not self.kubeconfig.exists():
            raise ClusterError(
                "there is no such kubeconfig", where="--kubeconfig", value=str(self.kubeconfig)
            )
        with progress.step("Your cluster"):
            context = self.context or self._kubectl("config", "current-context", progress=progress).strip()
            known = self._kubectl("config", "get-contexts", "--output=name", progress=progress).split()
            if context not in known:
                raise ClusterError(
                    "the kubeconfig has no such context",
                    where=str(self.kubeconfig),
                    value=context,
                    bound="one of " + ", ".join(known),
                )
            self._kubectl("get", "--raw=/readyz", f"--context={context}", progress=progress)
        return ReachedCluster(context, self.kubeconfig, context)

    def down(self, progress: Progress = QUIET) -> None:
        with progress.step("Your cluster stays as it is"):
            return

    def _kubectl(self, *words: str, progress: Progress) -> str:
        kubectl = ensure("kubectl", progress=progress)["kubectl"]
        command = [str(kubectl), f"--kubeconfig={self.kubeconfig}", "--request-timeout=10s", *words]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode != 0:
            raise ClusterError(
                "the cluster can't be used",
                where=str(self.kubeconfig),
                value=run.stderr.strip().splitlines()[-1] if run.stderr.strip() else None,
                fix="Check that `kubectl get nodes` works with this kubeconfig and context",
            )
        return run.stdout


@dataclass(frozen=True)
class Kind:
    """A cluster of kind's, for machines with Docker and kind's node image."""

    config: ClusterConfig

    @property
    def kind_name(self) -> str:
        return f"groundplan-{self.config.name}"

    @property
    def kubeconfig(self) -> Path:
        return Paths(self.config.name).clusters / f"{self.kind_name}.kind.kubeconfig"

    def up(self, progress: Progress = QUIET) -> Cluster:
        _require_docker()
        with progress.step("kind") as step, embedded.locked(self.config.name, progress):
            if self.kind_name not in _run("kind", "get", "clusters").split():
                step.update("creating the cluster")
                _run(
                    "kind", "create", "cluster", f"--name={self.kind_name}", f"--wait={KIND_TIMEOUT}",
                    f"--kubeconfig={self.kubeconfig}", "--config=-", text=self.document(),
                )  # fmt: skip
            else:
                _run(
                    "kind", "export", "kubeconfig", f"--name={self.kind_name}",
                    f"--kubeconfig={self.kubeconfig}",
                )  # fmt: skip
        return ReachedCluster(self.config.name, self.kubeconfig, f"kind-{self.kind_name}")

    def down(self, progress: Progress = QUIET) -> None:
        _require_docker()
        with progress.step("kind"), embedded.locked(self.config.name, progress):
            _run("kind", "delete", "cluster", f"--name={self.kind_name}", f"--kubeconfig={self.kubeconfig}")
            self.kubeconfig.unlink(missing_ok=True)

    def document(self) -> str:
        """Return kind's configuration: as many workers as asked for, each in a zone of its own."""
        nodes: list[dict[str, object]] = [{"role": "control-plane"}]
        for number in range(1, (self.config.workers or DEFAULT_WORKERS) + 1):
            labels = {
                "topology.kubernetes.io/zone": f"zone-{number}",
                "topology.kubernetes.io/region": "local",
            }
            nodes.append({"role": "worker", "labels": labels})
        return yaml.safe_dump({"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "nodes": nodes})


def _require_docker() -> None:
    for tool in ("docker", "kind"):
        if shutil.which(tool) is None:
            raise ClusterError(
                "it is not on PATH",
                where=tool,
                fix="Install it, or use the embedded cluster, which needs neither Docker nor kind",
            )
    answer = subprocess.run(
        ["docker", "info", "--format={{json .ServerVersion}}"], capture_output=True, text=True, check=False
    )
    if answer.returncode != 0 or not json.loads(answer.stdout or '""'):
        raise ClusterError(
            "Docker doesn't answer",
            value=answer.stderr.strip(),
            fix="Start it, or use the embedded cluster, which doesn't need it",
        )


def _run(*command: str, text: str | None = None) -> str:
    run = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise ClusterError(
            "kind failed",
            where=" ".join(command),
            value=run.stderr.strip(),
            fix="Its node image must be there or within reach of Docker",
        )
    return run.stdout


def adapter_for(
    config: ClusterConfig | None = None,
    *,
    kubeconfig: Path | None = None,
    context: str | None = None,
    kind: bool = False,
) -> Adapter:
    """Return the adapter for what the user named: a kubeconfig, kind, or else the embedded cluster.

    Raises ClusterError when both a kubeconfig and kind are named.
    """
    if kubeconfig is not None and kind:
        raise ClusterError("a kubeconfig and kind were both named", fix="Name one of them")
    if kubeconfig is not None:
        return Existing(kubeconfig, context)
    return Kind(config or ClusterConfig()) if kind else Embedded(config or ClusterConfig())
