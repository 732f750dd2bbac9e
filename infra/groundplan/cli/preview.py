"""`groundplan preview`: what would change, and whether the policy gate lets it pass."""

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
    image_environment,
    place_of,
    require_cluster,
)


def preview_command(
    stack: StackArgument = DEFAULT_STACK,
    *,
    project: ProjectOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    cluster: ClusterOption = DEFAULT_CLUSTER,
) -> None:
    """Show what `up` would change and which rules it breaks; nothing is created.

    Exit code 1 when the policy gate refuses it.
    """
    from rich.table import Table

    from groundplan.cli.console import out, progress
    from groundplan.deploy.exclusive import exclusive

    place = place_of(stack, project, kubeconfig, context, cluster)
    require_cluster(place)
    with progress() as shown, exclusive(place.lock, f"groundplan preview {stack}"):
        ensure_engine(shown)
        work = deployment(deploy_settings(place, image_environment(place, shown)), shown)
        work.recover()
        previewed = work.preview()
    if previewed.changes:
        table = Table("Change", "Type", "Name")
        for change in previewed.changes:
            table.add_row(change.operation, change.type, change.name)
        out.print(table)
    counts = ", ".join(f"{count} {operation}" for operation, count in sorted(previewed.counts.items()))
    out.print(f"Resources: {counts or 'none'}.", highlight=False)
    if previewed.violations:
        table = Table("Rule", "Resource", "What is wrong", "")
        for violation in previewed.violations:
            level = "[red]forbids[/]" if violation.mandatory else "[yellow]advises[/]"
            table.add_row(violation.rule, violation.resource or "the stack", violation.message, level)
        out.print(table)
    previewed.require_allowed()
