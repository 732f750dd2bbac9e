"""Passwords and keys that are made once, kept as Pulumi secrets, and read by pods from a Secret."""

import base64
import secrets
from collections.abc import Mapping
from typing import Any, Required, TypedDict

import pulumi
import pulumi_kubernetes as k8s

from pulumi_groundplan.base import Component, Manifest

PASSWORD_KEY = "password"  # noqa: S105 - the name of an entry
BYTES = 32


def kept() -> pulumi.ResourceOptions:
    """The options of a Secret whose entries are made: each run of the program makes others, but the Secret
    keeps its first ones."""
    # as a whole: the values are secret together, and a path into them isn't followed
    return pulumi.ResourceOptions(ignore_changes=["data"])


def generate() -> str:
    """A new value."""
    return secrets.token_urlsafe(BYTES)


def manifest(metadata: Manifest, values: Mapping[str, pulumi.Input[str]]) -> Manifest:
    """A Secret of the values, which become Pulumi secrets.

    They stand in `data`, encoded as Kubernetes keeps them: the provider moves `stringData` there itself, and
    what was ignored in one field would then come back as a change of the other.
    """
    data = {
        name: pulumi.Output.secret(value).apply(lambda text: base64.b64encode(text.encode()).decode())
        for name, value in values.items()
    }
    return {"metadata": metadata, "type": "Opaque", "data": data}


class CredentialsArgs(TypedDict, total=False):
    """Arguments of Credentials."""

    namespace: Required[pulumi.Input[str]]
    """Namespace that the Secret lives in, such as an Environment's `namespace`."""
    entries: Required[list[str]]
    """Names of the entries. They are kept as they are; for one that comes later, use further Credentials."""
    overrides: dict[str, Any]
    """Fields of the child `secret`, merged into what the component makes."""


class Credentials(Component):
    """A Secret with keys and passwords that are made at the first deployment and kept. Pulumi's state holds
    them encrypted."""

    secret_name: pulumi.Output[str]
    """Name of the Secret."""
    values: pulumi.Output[dict[str, str]]
    """The entries, as a Pulumi secret."""

    def __init__(self, name: str, args: CredentialsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args, opts)
        secret = self._add(
            "secret",
            k8s.core.v1.Secret,
            manifest(
                {"name": name, "namespace": self._namespace, "labels": self._labels("credentials")},
                {entry: generate() for entry in args["entries"]},
            ),
            kept(),
        )
        self.secret_name = secret.metadata.apply(lambda metadata: str(metadata["name"]))
        self.values = pulumi.Output.secret(secret.data.apply(_decoded))
        self._finish({"secretName": self.secret_name, "values": self.values})


def _decoded(data: Mapping[str, str]) -> dict[str, str]:
    return {name: base64.b64decode(value).decode() for name, value in data.items()}
