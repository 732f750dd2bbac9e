"""What most commands share: which stack of which project, on which cluster, with which tools and state."""

import base64
import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

import typer
import yaml

from groundplan import toolchain
from groundplan.deploy.settings import ADOPT, DeploySettings, require_stack
from groundplan.errors import ClusterError, DeployError
from groundplan.progress import Progress

if TYPE_CHECKING:  # they take seconds to import, which `groundplan --help` shouldn't
    from groundplan.deploy.deployment import Deployment

StackArgument = Annotated[str, typer.Argument(help="Name of the stack.")]
ProjectOption = Annotated[
    Path | None,
    typer.Option(
        "--project", help="Folder with Pulumi.yaml; the nearest one, upwards, by default.", show_default=False
    ),
]
KubeconfigOption = Annotated[
    Path | None,
    typer.Option(
        "--kubeconfig",
        help="Use the cluster of this file instead of the embedded one.",
        show_default=False,
        exists=True,
        dir_okay=False,
    ),
]
ContextOption = Annotated[
    str | None,
    typer.Option(
        "--context", help="Context within the kubeconfig; its current one by default.", show_default=False
    ),
]
ClusterOption = Annotated[str, typer.Option("--cluster", help="Name of the embedded cluster.")]

DEFAULT_STACK = "ecommerce"
DEFAULT_CLUSTER = "default"

_ENGINE_TOOLS = (
    "pulumi",
    "pulumi-language-python",
    "pulumi-resource-kubernetes",
    "pulumi-resource-docker-build",
)


@dataclass(frozen=True)
class Place:
    """Where a command works. kubeconfig None is the embedded cluster named `cluster`."""

    stack: str
    project: Path
    cluster: str
    own_kubeconfig: Path | None
    own_context: str | None

    @property
    def embedded(self) -> bool:
        """Whether the cluster is groundplan's own."""
        return self.own_kubeconfig is None

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig file in use; the embedded cluster's need not be there yet."""
        return self.own_kubeconfig or toolchain.home() / "clusters" / self.cluster / "kubeconfig"

    @property
    def context(self) -> str | None:
        """The context in use."""
        return f"groundplan-{self.cluster}" if self.embedded else self.own_context

    @property
    def title(self) -> str:
        """The cluster as people call it."""
        if self.embedded:
            return f"the embedded cluster {self.cluster}"
        return f"context {self.own_context or _current_context(self.kubeconfig)}"

    @property
    def state(self) -> Path:
        """Folder of the engine's state; an embedded cluster has its own, which goes with it."""
        name = f"embedded-{self.cluster}" if self.embedded else "own"
        return toolchain.home() / "pulumi" / name

    @property
    def reports(self) -> Path:
        """Folder of the stack's reports, measurements and calibration."""
        name = self.cluster if self.embedded else f"own-{_digest(str(self.kubeconfig), str(self.context))}"
        return toolchain.home() / "reports" / name / self.stack

    @property
    def lock(self) -> Path:
        """Lock of everything that changes this place."""
        return toolchain.home() / "pulumi" / f"{self.state.name}.lock"


def place_of(
    stack: str, project: Path | None, kubeconfig: Path | None, context: str | None, cluster: str
) -> Place:
    """The place that options name.

    Raises DeployError where there is no project or no such stack, and for a context without its file.
    """
    if context and not kubeconfig:
        raise DeployError(
            "A context needs its kubeconfig file",
            "--context",
            context,
            "given together with --kubeconfig",
            "A cluster of yours is used only when you name its file.",
        )
    folder = find_project(project)
    require_stack(folder, stack)
    return Place(stack, folder, cluster, kubeconfig and kubeconfig.resolve(), context)


def find_project(given: Path | None) -> Path:
    """The folder with Pulumi.yaml: the given one, or the nearest upwards from here."""
    start = (given or Path.cwd()).resolve()
    for folder in [start] if given else [start, *start.parents]:
        if (folder / "Pulumi.yaml").exists():
            return folder
    raise DeployError(
        "There is no Pulumi project", str(start), fix="Run this in the checkout, or name it with --project."
    )


def ensure_engine(progress: Progress) -> None:
    """Obtain the engine and its plugins."""
    toolchain.ensure(*_ENGINE_TOOLS, progress=progress)


def require_cluster(place: Place) -> None:
    """Raise ClusterError when the cluster was never made."""
    if not place.kubeconfig.exists():
        raise ClusterError(
            "The cluster isn't there", place.title, fix="Run groundplan up, or groundplan cluster up."
        )


def image_environment(place: Place, progress: Progress) -> dict[str, str]:
    """Where the stack's images are built and go to; a cluster of one's own is told by its configuration."""
    if not place.embedded:
        return {}
    from groundplan.cluster.embedded import require
    from groundplan.images import image_settings

    found = require(place.cluster)
    return image_settings(found.registry, found.paths.builder_socket, progress)


def deploy_settings(place: Place, environment: Mapping[str, str] | None = None) -> DeploySettings:
    """How the stack is deployed at this place. environment: what the program is told beyond its own."""
    # On an embedded cluster, whatever has the stack's names is the stack's own, of an interrupted life.
    told = {**(environment or {}), **(ADOPT if place.embedded else {})}
    pack = place.project / "policy"
    return DeploySettings(
        project=place.project,
        stack=place.stack,
        state=place.state,
        kubeconfig=place.kubeconfig,
        context=place.own_context,
        tools=(toolchain.bin_directory(), Path(sys.prefix) / "bin"),
        policy_packs=(pack,) if (pack / "PulumiPolicy.yaml").exists() else (),
        generate_passphrase=place.embedded,
        cluster_id=_identity(place.kubeconfig) if place.embedded else None,
        environment=MappingProxyType(told),
    )


def deployment(settings: DeploySettings, progress: Progress) -> "Deployment":
    """The stack, ready to be worked on."""
    from groundplan.deploy.deployment import Deployment

    return Deployment(settings, progress)


def _identity(kubeconfig: Path) -> str:
    """A cluster has an authority of its own, as long as it lives."""
    content = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    authority: str = content["clusters"][0]["cluster"]["certificate-authority-data"]
    return hashlib.sha256(base64.b64decode(authority)).hexdigest()


def _current_context(kubeconfig: Path) -> str:
    return str(yaml.safe_load(kubeconfig.read_text(encoding="utf-8")).get("current-context", "?"))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
