"""`groundplan status`: what is there, and whether it is well."""

from groundplan.cli.place import (
    DEFAULT_CLUSTER,
    DEFAULT_STACK,
    ClusterOption,
    ContextOption,
    KubeconfigOption,
    Place,
    ProjectOption,
    StackArgument,
    place_of,
)


def status_command(
    stack: StackArgument = DEFAULT_STACK,
    *,
    project: ProjectOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    cluster: ClusterOption = DEFAULT_CLUSTER,
) -> None:
    """Tell what runs, which pods are not ready and why, and the last report's verdict. Changes nothing."""
    from groundplan.cli.console import out
    from groundplan.verify import report

    place = place_of(stack, project, kubeconfig, context, cluster)
    if place.embedded and not _embedded(place):
        return
    _pods(place)
    file = place.reports / "report.json"
    if file.exists():
        last = report.load(file)
        out.print(f"Last report, {last.created_at:%Y-%m-%d %H:%M} UTC: {last.headline}.", highlight=False)
        for name, address in last.addresses.items():
            out.print(f"{name}: {address}", highlight=False)
    else:
        out.print(f"There is no report of {stack} yet.", highlight=False)


def _embedded(place: Place) -> bool:
    """Tell about the embedded cluster; whether it answers."""
    from groundplan import cluster
    from groundplan.cli.console import out

    found = cluster.status(place.cluster)
    if not found.exists:
        out.print(f"There is no embedded cluster {place.cluster}; groundplan up makes it.", highlight=False)
        return False
    if not found.api:
        out.print(
            f"The embedded cluster {place.cluster} doesn't run; groundplan up starts it.", highlight=False
        )
        return False
    ready = sum(node.ready for node in found.nodes)
    out.print(
        f"The embedded cluster {place.cluster} runs, {ready} of {len(found.nodes)} nodes are ready.",
        highlight=False,
    )
    return True


def _pods(place: Place) -> None:
    """Tell about the pods of the stack's namespace."""
    from groundplan.cli.console import out
    from groundplan.deploy.pods import why_not_ready
    from groundplan.deploy.settings import spec_file
    from groundplan.spec import load_system

    system = load_system(spec_file(place.project, place.stack))
    troubles = why_not_ready(place.kubeconfig, place.context, [system.name])
    for trouble in troubles:
        out.print(trouble, highlight=False, markup=False)
    if not troubles:
        out.print(f"No pod in namespace {system.name} is in trouble.", highlight=False)
