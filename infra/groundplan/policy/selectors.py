"""Label selectors with Kubernetes semantics, including matchExpressions, over labels that may be unknown.

Source: Kubernetes API, LabelSelector (an empty one selects everything, an absent one nothing) and the plain
label maps of Services and ReplicationControllers (an empty one selects nothing).
"""

from collections.abc import Callable, Iterable

from groundplan.policy.tree import Node, Undecided


def selects(parent: Node, key: str, labels: Callable[[], Node]) -> bool:
    """Whether the LabelSelector in field `key` of `parent` selects something with these labels.

    Raises Undecided when that hangs on an unknown value; a term that surely fails decides in spite of it.
    """
    if not parent.has(key):
        return False
    selector = parent.node(key)
    terms: list[Callable[[], bool]] = []
    wanted = selector.node("matchLabels")
    terms += [lambda name=name: labels().text(name) == wanted.text(name) for name in wanted.names()]  # type: ignore[misc]
    terms += [
        lambda expression=expression: _holds(expression, labels)  # type: ignore[misc]
        for expression in selector.nodes("matchExpressions")
    ]
    return all_of(terms)


def map_selects(wanted: Node, labels: Callable[[], Node]) -> bool:
    """Whether a plain label map, as in a Service, selects something with these labels."""
    names = list(wanted.names())
    if not names:
        return False
    return all_of([lambda name=name: labels().text(name) == wanted.text(name) for name in names])  # type: ignore[misc]


def all_of(terms: Iterable[Callable[[], bool]]) -> bool:
    """Three-valued AND: False as soon as one term is surely False, else Undecided if one is undecided."""
    undecided: Undecided | None = None
    for term in terms:
        try:
            if not term():
                return False
        except Undecided as reason:
            undecided = undecided or reason
    if undecided is not None:
        raise undecided
    return True


def _holds(expression: Node, labels: Callable[[], Node]) -> bool:
    name, operator = expression.text("key"), expression.text("operator")
    if name is None:
        raise Undecided(f"{expression.at('key')} is missing")
    match operator:
        case "Exists":
            return labels().has(name)
        case "DoesNotExist":
            return not labels().has(name)
        case "In":
            return labels().text(name) in expression.texts("values")
        case "NotIn":
            # an absent label is not in any set, so it is selected
            return labels().text(name) not in expression.texts("values")
    raise Undecided(f"{expression.at('operator')} is none of In, NotIn, Exists, DoesNotExist")
