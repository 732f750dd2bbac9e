"""Kubernetes resources as rules see them: plain data and where it came from."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from groundplan.policy.tree import UNKNOWN, Node, Undecided

# Pod Security, PDBs and selectors act within a namespace; these kinds have none
CLUSTER_SCOPED = frozenset(
    {
        "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "IngressClass", "Namespace", "Node",
        "PersistentVolume", "PriorityClass", "RuntimeClass", "StorageClass",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Origin:
    """Where a resource was stated: a Pulumi URN, or a file and the line where the resource begins."""

    urn: str | None = None
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        if self.urn is not None:
            return self.urn
        if self.file is None:
            return "the stack"
        return self.file if self.line is None else f"{self.file}:{self.line}"


@dataclass(frozen=True, eq=False)
class Resource:
    """One Kubernetes resource. Its kind is always known; every other field may be unknown."""

    kind: str
    api_version: str
    content: Mapping[str, Any]
    origin: Origin

    @cached_property
    def node(self) -> Node:
        """All fields."""
        return Node(self.content)

    @property
    def group(self) -> str:
        """API group, empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def metadata(self) -> Node:
        """Name, namespace, labels, annotations."""
        return self.node.node("metadata")

    @property
    def spec(self) -> Node:
        """The wanted state."""
        return self.node.node("spec")

    @property
    def name(self) -> str:
        """Name. Raises Undecided when it isn't known, such as one that the API server will make up."""
        name = self.metadata.text("name")
        if name is None:
            raise Undecided(f"the name of this {self.kind} isn't known before deployment")
        return name

    @property
    def namespace(self) -> str:
        """Namespace, with the default filled in; empty for kinds without one."""
        if self.kind in CLUSTER_SCOPED:
            return ""
        return self.metadata.text("namespace") or "default"

    @cached_property
    def title(self) -> str:
        """Kind, namespace and name for people, with ? for what isn't known."""
        metadata = self.content.get("metadata")
        fields = metadata if isinstance(metadata, Mapping) else {}
        name, namespace = fields.get("name"), fields.get("namespace")
        shown = name if isinstance(name, str) else "?"
        if self.kind in CLUSTER_SCOPED:
            return f"{self.kind} {shown}"
        if namespace is UNKNOWN or metadata is UNKNOWN:
            return f"{self.kind} ?/{shown}"
        return f"{self.kind} {namespace or 'default'}/{shown}"
