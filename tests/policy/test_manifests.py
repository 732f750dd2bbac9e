"""Resources from YAML text."""

import pytest

from groundplan.policy.manifests import read_manifests
from groundplan.policy.registry import PolicyError


def test_each_resource_knows_the_line_where_it_begins() -> None:
    text = "apiVersion: v1\nkind: A\n---\n# a remark\napiVersion: apps/v1\nkind: B\n---\n"
    found = read_manifests(text, "k8s.yaml")
    assert [(one.kind, one.group, str(one.origin)) for one in found] == [
        ("A", "", "k8s.yaml:1"),
        ("B", "apps", "k8s.yaml:5"),
    ]


def test_a_list_gives_its_items() -> None:
    text = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: A}\n- apiVersion: v1\n  kind: B\n"
    assert [(one.kind, one.origin.line) for one in read_manifests(text, "f")] == [("A", 4), ("B", 5)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "f:1: the manifest isn't valid YAML"),
        ("apiVersion: v1\nkind: A\n---\n- 1", "f:4: the document isn't a Kubernetes resource"),
        ("apiVersion: v1", "f:1: the document isn't a Kubernetes resource"),
        ("a: !!python/name:os.system 1", "isn't valid YAML"),
    ],
)
def test_what_is_not_a_resource_is_an_error_with_its_line(text: str, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        read_manifests(text, "f")
