"""Label selectors as Kubernetes reads them."""

from typing import Any

import pytest

from groundplan.policy.selectors import map_selects, selects
from groundplan.policy.tree import UNKNOWN, Node, Undecided

LABELS = {"app": "shop", "tier": "web"}


def chosen(selector: Any, labels: Any = LABELS) -> bool:
    return selects(Node({"selector": selector}), "selector", lambda: Node(labels))


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, True),
        (None, False),
        ({"matchLabels": {"app": "shop"}}, True),
        ({"matchLabels": {"app": "shop", "tier": "web"}}, True),
        ({"matchLabels": {"app": "shop", "tier": "db"}}, False),
        ({"matchLabels": {"zone": "a"}}, False),
        (expression("app", "In", "cart", "shop"), True),
        (expression("app", "In", "cart"), False),
        (expression("zone", "In", "a"), False),
        (expression("app", "NotIn", "shop"), False),
        (expression("app", "NotIn", "cart"), True),
        (expression("zone", "NotIn", "a"), True),
        (expression("tier", "Exists"), True),
        (expression("zone", "Exists"), False),
        (expression("tier", "DoesNotExist"), False),
        (expression("zone", "DoesNotExist"), True),
        ({"matchLabels": {"app": "shop"}, **expression("tier", "In", "db")}, False),
    ],
)
def test_a_selector_selects_as_kubernetes_does(selector: Any, expected: bool) -> None:
    assert chosen(selector) is expected


@pytest.mark.parametrize(
    ("selector", "labels"),
    [
        (UNKNOWN, LABELS),
        ({"matchLabels": UNKNOWN}, LABELS),
        ({"matchLabels": {"app": UNKNOWN}}, LABELS),
        ({"matchLabels": {"app": "shop"}}, UNKNOWN),
        ({"matchLabels": {"app": "shop"}}, {"app": UNKNOWN}),
        (expression("app", "Exists"), {"app": UNKNOWN}),
        ({"matchExpressions": [{"key": "app", "operator": UNKNOWN}]}, LABELS),
        ({"matchExpressions": [{"key": "app", "operator": "Near", "values": ["shop"]}]}, LABELS),
    ],
)
def test_an_unknown_term_leaves_the_choice_open(selector: Any, labels: Any) -> None:
    with pytest.raises(Undecided):
        selects(Node({"selector": selector}), "selector", lambda: Node({"labels": labels}).node("labels"))


def test_a_term_that_surely_fails_decides_in_spite_of_an_unknown_one() -> None:
    assert not chosen({"matchLabels": {"app": UNKNOWN, "tier": "db"}})


def test_unknown_labels_that_the_selector_does_not_ask_for_do_not_matter() -> None:
    assert chosen({"matchLabels": {"app": "shop"}}, {"app": "shop", "version": UNKNOWN})


def test_an_empty_label_map_selects_nothing() -> None:
    assert not map_selects(Node({}), lambda: Node(LABELS))
    assert map_selects(Node({"app": "shop"}), lambda: Node(LABELS))
    assert not map_selects(Node({"app": "cart"}), lambda: Node(LABELS))
