"""Passwords and keys that are made once, kept as Pulumi secrets, and read by pods from a Secret."""

import secrets
from collections.abc import Mapping
from typing import Any, Required, TypedDict

import pulumi
import pulumi_kubernetes as k8s

from groundplan.errors import SpecError
from pulumi_groundplan.base import Component

PASSWORD_KEY = "password"  # noqa: S105 - the name of an entry
BYTES = 32


def entries(
    given: Mapping[str, pulumi.Input[str]], generated: list[str]
) -> tuple[dict[str, pulumi.Output[str]], pulumi.ResourceOptions]:
    """The entries of a Secret, as Pulumi secrets, and the options of that Secret.

    given: the user's own; what is in use changes with them. generated: names of entries that are made: each
    run of the program makes others, but the Secret keeps its first ones.
    """
    values = {name: pulumi.Output.secret(value) for name, value in given.items()}
    values |= {name: pulumi.Output.secret(secrets.token_urlsafe(BYTES)) for name in generated}
    return values, pulumi.ResourceOptions(ignore_changes=[f'stringData["{name}"]' for name in generated])


class CredentialsArgs(TypedDict, total=False):
    """Arguments of Credentials."""

    namespace: Required[pulumi.Input[str]]
    """Namespace that the Secret lives in, such as an Environment's `namespace`."""
    generated: list[str]
    """Names of entries whose values are made at the first deployment and kept."""
    given: dict[str, pulumi.Input[str]]
    """Entries of one's own, best secrets of the stack's configuration."""
    overrides: dict[str, Any]
    """Fields of the child `secret`, merged into what the component makes."""


class Credentials(Component):
    """A Secret with keys and passwords, some of them made at the first deployment and kept. Pulumi's state
    holds them encrypted."""

    secret_name: pulumi.Output[str]
    """Name of the Secret."""
    values: pulumi.Output[dict[str, str]]
    """The entries, as a Pulumi secret."""

    def __init__(self, name: str, args: CredentialsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args, opts)
        given, generated = args.get("given") or {}, args.get("generated") or []
        if twice := sorted(set(given) & set(generated)):
            raise SpecError(
                "an entry is given and generated", where=self._where, value=twice[0], bound="one of the two"
            )
        values, options = entries(given, generated)
        secret = self._add(
            "secret",
            k8s.core.v1.Secret,
            {
                "metadata": {
                    "name": name,
                    "namespace": self._namespace,
                    "labels": self._labels("credentials"),
                },
                "type": "Opaque",
                "stringData": values,
            },
            options,
        )
        self.secret_name = secret.metadata.apply(lambda metadata: str(metadata["name"]))
        self.values = pulumi.Output.secret(secret.string_data.apply(dict))
        self._finish({"secretName": self.secret_name, "values": self.values})
