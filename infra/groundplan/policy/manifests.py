"""Kubernetes resources from YAML text, with the line at which each begins."""

from collections.abc import Iterator
from typing import Any

import yaml

from groundplan.policy.registry import PolicyError
from groundplan.policy.resources import Origin, Resource


def read_manifests(text: str, file: str, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> list[Resource]:
    """The resources in a text of one or more YAML documents; a List gives its items.

    file: names the text in origins and errors. Raises PolicyError when the text isn't YAML or holds
    something that isn't a Kubernetes resource.
    """
    found: list[Resource] = []
    try:
        reader = loader(text)
        while reader.check_node():
            node = reader.get_node()
            if node is not None:
                found += _resources(reader.construct_document(node), node, file)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise PolicyError(
            f"the manifest isn't valid YAML: {error.problem or error.context}",
            where=f"{file}:{mark.line + 1}" if mark else file,
        ) from error
    return found


def _resources(content: Any, node: yaml.Node, file: str) -> Iterator[Resource]:
    line = node.start_mark.line + 1
    if content is None:
        return
    if not isinstance(content, dict) or not isinstance(content.get("kind"), str):
        raise PolicyError(
            "the document isn't a Kubernetes resource",
            where=f"{file}:{line}",
            bound="a mapping with apiVersion and kind",
        )
    items = content.get("items")
    if content["kind"].endswith("List") and isinstance(items, list) and isinstance(node, yaml.MappingNode):
        nodes = next(value.value for key, value in node.value if key.value == "items")
        for item, item_node in zip(items, nodes, strict=True):
            yield from _resources(item, item_node, file)
        return
    version = content.get("apiVersion")
    yield Resource(
        content["kind"], version if isinstance(version, str) else "", content, Origin(file=file, line=line)
    )
