"""`groundplan down`: nothing stays but the cache of tools."""

import shutil
from typing import Annotated

import typer

from groundplan.cli.place import (
    DEFAULT_CLUSTER,
    DEFAULT_STACK,
    ClusterOption,
    ContextOption,
    KubeconfigOption,
    ProjectOption,
    StackArgument,
    deploy_settings,
    deployment,
    ensure_engine,
    place_of,
    require_cluster,
)


def down_command(
    stack: StackArgument = DEFAULT_STACK,
    *,
    project: ProjectOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    cluster: ClusterOption = DEFAULT_CLUSTER,
    keep_cluster: Annotated[
        bool, typer.Option("--keep-cluster", help="Remove the stack alone; the embedded cluster stays.")
    ] = False,
) -> None:
    """Remove the stack, and the embedded cluster with everything on it.

    The machine is left as it was; obtained tools stay in the cache. On a cluster of yours, only the stack
    goes.
    """
    from groundplan.cli.console import err, progress
    from groundplan.deploy.exclusive import exclusive

    place = place_of(stack, project, kubeconfig, context, cluster)
    with progress() as shown, exclusive(place.lock, f"groundplan down {stack}"):
        if place.embedded and not keep_cluster:
            from groundplan import cluster as clusters

            # What runs on the cluster goes with it, running or not; so does the record of it.
            clusters.down(place.cluster, shown)
            shutil.rmtree(place.state, ignore_errors=True)
            shutil.rmtree(place.reports.parent, ignore_errors=True)
        else:
            require_cluster(place)
            ensure_engine(shown)
            work = deployment(deploy_settings(place), shown)
            for sentence in work.recover():
                err.print(f"[yellow]Recovered:[/] {sentence}", highlight=False)
            work.destroy()
            shutil.rmtree(place.reports, ignore_errors=True)
    err.print("Nothing is left of it." if not keep_cluster else "The stack is gone; the cluster stays.")
