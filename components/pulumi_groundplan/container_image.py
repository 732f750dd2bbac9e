"""An image, built from a Dockerfile and pushed to a registry."""

import re
from enum import Enum
from pathlib import Path
from typing import Any, Required, TypedDict

import pulumi
import pulumi_docker as docker
import pulumi_docker_build as docker_build

from groundplan.errors import SpecError
from pulumi_groundplan.base import Component

IMAGES = Path(__file__).parent / "images"
"""Build contexts of the images that the components need: nginx, postgresql, prometheus, redis."""
CERTIFICATES_SECRET = "ca"  # noqa: S105 - the name of a build secret
_REPOSITORY = re.compile(r"[a-z0-9]+([._/-][a-z0-9]+)*")


class ImageBuilder(Enum):
    """What builds the image."""

    BUILDKIT = "buildkit"
    """A BuildKit, through buildx; no Docker engine is needed."""
    DOCKER = "docker"
    """The Docker engine at hand."""


class ContainerImageArgs(TypedDict, total=False):
    """Arguments of a ContainerImage."""

    registry: Required[pulumi.Input[str]]
    """Registry to push to, such as localhost:5000."""
    context: Required[str]
    """Folder that the Dockerfile copies from."""
    dockerfile: str
    """Path of the Dockerfile. Default: Dockerfile in the context."""
    repository: str
    """Name of the image in the registry. Default: the component's name."""
    tag: str
    """Tag for people; the reference that is handed on has the digest too. Default groundplan."""
    base: pulumi.Input[str]
    """Base image, given to the Dockerfile as the argument BASE. Unset: the Dockerfile's own default."""
    build_args: dict[str, pulumi.Input[str]]
    """More arguments of the Dockerfile."""
    ca_certificates: pulumi.Input[str]
    """PEM text of certificates that downloads during the build must trust, given as the build secret `ca`."""
    builder: ImageBuilder
    """What builds. Default buildkit."""
    builder_name: pulumi.Input[str]
    """Name of the buildx builder. Unset: the one in use."""
    overrides: dict[str, Any]
    """Fields of the child `image`, merged into what the component makes."""


class ContainerImage(Component):
    """An image built from a Dockerfile and pushed to a registry, rebuilt only when its inputs change."""

    ref: pulumi.Output[str]
    """Reference with the digest."""

    def __init__(
        self, name: str, args: ContainerImageArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        context = Path(args["context"])
        dockerfile = Path(args.get("dockerfile") or context / "Dockerfile")
        if not dockerfile.is_file():
            raise SpecError(
                "there is no Dockerfile",
                where=self._where,
                value=str(dockerfile),
                bound="an existing file",
                fix="Correct context or dockerfile; relative paths start at the program's folder.",
            )
        repository = args.get("repository") or name
        if not _REPOSITORY.fullmatch(repository):
            raise SpecError(
                "repository is not the name of an image",
                where=self._where,
                value=repository,
                bound="lower-case letters, digits and . _ - /",
            )
        tag = pulumi.Output.format(
            "{0}/{1}:{2}", args["registry"], repository, args.get("tag") or "groundplan"
        )
        build_args: dict[str, pulumi.Input[str]] = {
            **({"BASE": args["base"]} if args.get("base") else {}),
            **(args.get("build_args") or {}),
        }
        if ImageBuilder(args.get("builder") or ImageBuilder.BUILDKIT) is ImageBuilder.DOCKER:
            self.ref = self._docker(args, tag, context, dockerfile, build_args)
        else:
            self.ref = self._buildkit(args, tag, context, dockerfile, build_args)
        self._finish({"ref": self.ref})

    def _buildkit(
        self,
        args: ContainerImageArgs,
        tag: pulumi.Output[str],
        context: Path,
        dockerfile: Path,
        build_args: dict[str, pulumi.Input[str]],
    ) -> pulumi.Output[str]:
        manifest: dict[str, Any] = {
            "tags": [tag],
            "context": {"location": str(context)},
            "dockerfile": {"location": str(dockerfile)},
            "buildArgs": build_args,
            "push": True,
            # a preview only looks; the build takes place when it is wanted
            "buildOnPreview": False,
        }
        if args.get("ca_certificates"):
            manifest["secrets"] = {CERTIFICATES_SECRET: pulumi.Output.secret(args["ca_certificates"])}
            # renewed certificates don't change what is built
            manifest["ignoreSecretsInDiffCalculation"] = [CERTIFICATES_SECRET]
        if args.get("builder_name"):
            manifest["builder"] = {"name": args["builder_name"]}
        return self._add("image", docker_build.Image, manifest).ref

    def _docker(
        self,
        args: ContainerImageArgs,
        tag: pulumi.Output[str],
        context: Path,
        dockerfile: Path,
        build_args: dict[str, pulumi.Input[str]],
    ) -> pulumi.Output[str]:
        if args.get("ca_certificates"):
            raise SpecError(
                "the Docker engine's builder takes no build secrets",
                where=self._where,
                bound="without ca_certificates, or with builder buildkit",
            )
        build = {"context": str(context), "dockerfile": str(dockerfile), "args": build_args}
        image = self._add("image", docker.Image, {"imageName": tag, "build": build, "skipPush": False})
        return image.repo_digest
