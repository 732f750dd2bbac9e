"""What all components share: how children are made, named, labelled, overridden and reported."""

import difflib
import inspect
import re
from collections.abc import Mapping
from typing import Any, TypeVar

import pulumi

from groundplan.errors import SpecError

R = TypeVar("R", bound=pulumi.Resource)
Manifest = dict[str, Any]
"""A Kubernetes object, or a part of one, with Kubernetes' own field names; leaves may be outputs."""

NAME_LABEL = "app.kubernetes.io/name"
KIND_LABEL = "app.kubernetes.io/component"
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?")


def selector(name: str) -> dict[str, str]:
    """Labels that select the pods of a component within its namespace."""
    return {NAME_LABEL: name}


def merge(base: Any, override: Any) -> Any:
    """A strategic merge: mappings key by key, lists of named objects by name, anything else is replaced.

    A null in a mapping removes the key.
    """
    if isinstance(base, Mapping) and isinstance(override, Mapping):
        merged = dict(base)
        for key, value in override.items():
            if value is None:
                merged.pop(key, None)
            else:
                merged[key] = merge(merged[key], value) if key in merged else value
        return merged
    if _named(base) and _named(override):
        by_name = {item["name"]: item for item in base}
        for item in override:
            by_name[item["name"]] = merge(by_name.get(item["name"], {}), item)
        return list(by_name.values())
    return override


def _named(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, Mapping) and "name" in item for item in value)
    )


class Component(pulumi.ComponentResource):
    """A component: its children are named after it, lie in one namespace and can be overridden."""

    def __init__(self, name: str, args: Mapping[str, Any], opts: pulumi.ResourceOptions | None) -> None:
        super().__init__(f"groundplan:index:{type(self).__name__}", name, None, opts)
        self._name = name
        self._where = f"{type(self).__name__} {name}"
        if not _NAME.fullmatch(name):
            raise SpecError(
                "the name doesn't fit Kubernetes",
                where=self._where,
                value=name,
                bound="at most 40 lower-case letters, digits and hyphens, a letter first",
            )
        known = inspect.get_annotations(type(self).__init__)["args"].__annotations__
        if unknown := sorted(set(args) - set(known)):
            near = difflib.get_close_matches(unknown[0], known, n=1)
            raise SpecError(
                "there is no such argument",
                where=self._where,
                value=unknown[0],
                bound="one of " + ", ".join(sorted(known)),
                fix=f"Did you mean {near[0]}?" if near else None,
            )
        self._namespace: pulumi.Input[str] = args.get("namespace", name)
        self._overrides: dict[str, Any] = dict(args.get("overrides") or {})
        self._children: list[str] = []

    def _labels(self, kind: str, name: str | None = None) -> dict[str, Any]:
        return {
            NAME_LABEL: name or self._name,
            KIND_LABEL: kind,
            "app.kubernetes.io/part-of": self._namespace,
            "app.kubernetes.io/managed-by": "groundplan",
        }

    def _add(
        self,
        child: str,
        resource: type[R],
        manifest: Manifest,
        opts: pulumi.ResourceOptions | None = None,
    ) -> R:
        """Make the child `<component>-<child>` from its manifest and the override for it, if there is one."""
        self._children.append(child)
        if (override := self._overrides.get(child)) is not None:
            pulumi.log.warn(
                f"{self._where}: {child} is overridden; nothing checks that the promise still holds",
                self,
            )
            manifest = merge(manifest, override)
        fields = {re.sub("([A-Z])", r"_\1", key).lower(): value for key, value in manifest.items()}
        return resource(
            f"{self._name}-{child}",
            opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(parent=self)),
            **fields,
        )

    def _finish(self, outputs: dict[str, Any]) -> None:
        """Register the outputs, once all children are made."""
        if unknown := sorted(set(self._overrides) - set(self._children)):
            raise SpecError(
                "there is no such child to override",
                where=self._where,
                value=unknown[0],
                bound="one of " + ", ".join(sorted(self._children)),
            )
        self.register_outputs(outputs)
