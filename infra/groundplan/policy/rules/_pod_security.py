"""The controls of the Pod Security Standards, as of Kubernetes 1.37, for Linux and Windows pods.

Source: Kubernetes documentation, Pod Security Standards; where its text is short, the behaviour of the
admission controller in k8s.io/pod-security-admission v0.37.2 decides.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from groundplan.policy.registry import each
from groundplan.policy.tree import Node
from groundplan.policy.verdicts import Judgement, fails
from groundplan.policy.workloads import Container, Workload

_BASELINE_CAPABILITIES = frozenset(
    {
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE",
        "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
    }
)  # fmt: skip
_SELINUX_TYPES = frozenset({"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"})
_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_notsent_lowat",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_slow_start_after_idle",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)
_RESTRICTED_VOLUMES = frozenset(
    {
        "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim",
        "projected", "secret",
    }
)  # fmt: skip
_PROFILES = ("RuntimeDefault", "Localhost")
_APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"


@dataclass(frozen=True)
class Control:
    """One control: what it is about and how a workload's pods break it."""

    name: str
    check: Callable[[Workload], Iterator[Judgement]]


def violations(workload: Workload, controls: tuple[Control, ...], *, required: bool) -> Iterator[Judgement]:
    """Everything in which the workload's pods break these controls."""

    def check(control: Control) -> Iterator[Judgement]:
        for judgement in control.check(workload):
            yield Judgement(
                judgement.verdict,
                f"{control.name}: {judgement.what}",
                fails("", required=required).level,
                judgement.field,
                judgement.value,
                judgement.bound,
                judgement.fix,
            )

    yield from each(controls, check)


def _context(container: Container) -> Node:
    return container.node.node("securityContext")


def _pod_context(workload: Workload) -> Node:
    return workload.pod.node("securityContext")


def _in_user_namespace(workload: Workload) -> bool:
    return workload.pod.flag("hostUsers") is False


def _runs_windows(workload: Workload) -> bool:
    return workload.pod.node("os").text("name") == "windows"


def _contexts(workload: Workload, check: Callable[[Node], Iterator[Judgement]]) -> Iterator[Judgement]:
    """Judge the pod's security context and each container's."""
    yield from each([workload], lambda w: check(_pod_context(w)))
    yield from each(workload.containers(), lambda container: check(_context(container)))


def _host_process(workload: Workload) -> Iterator[Judgement]:
    def check(context: Node) -> Iterator[Judgement]:
        options = context.node("windowsOptions")
        if options.flag("hostProcess"):
            yield fails(
                "runs as a host process", field=options.at("hostProcess"), value="true", bound="false"
            )

    yield from _contexts(workload, check)


def _host_namespaces(workload: Workload) -> Iterator[Judgement]:
    def check(name: str) -> Iterator[Judgement]:
        if workload.pod.flag(name):
            yield fails(
                "shares a namespace of its node", field=workload.pod.at(name), value="true", bound="false"
            )

    yield from each(("hostNetwork", "hostPID", "hostIPC"), check)


def _privileged(workload: Workload) -> Iterator[Judgement]:
    def check(container: Container) -> Iterator[Judgement]:
        context = _context(container)
        if context.flag("privileged"):
            yield fails(
                f"container {container.name} is privileged",
                field=context.at("privileged"),
                value="true",
                bound="false",
            )

    yield from each(workload.containers(), check)


def _added_capabilities(workload: Workload, allowed: frozenset[str]) -> Iterator[Judgement]:
    def check(container: Container) -> Iterator[Judgement]:
        capabilities = _context(container).node("capabilities")
        for name in capabilities.texts("add"):
            if name not in allowed:
                yield fails(
                    f"container {container.name} adds a capability",
                    field=capabilities.at("add"),
                    value=name,
                    bound=f"one of {', '.join(sorted(allowed))}",
                )

    yield from each(workload.containers(), check)


def _baseline_capabilities(workload: Workload) -> Iterator[Judgement]:
    yield from _added_capabilities(workload, _BASELINE_CAPABILITIES)


def _restricted_capabilities(workload: Workload) -> Iterator[Judgement]:
    def drops_all(container: Container) -> Iterator[Judgement]:
        capabilities = _context(container).node("capabilities")
        if "ALL" not in capabilities.texts("drop"):
            yield fails(
                f"container {container.name} keeps capabilities",
                field=capabilities.at("drop"),
                bound='["ALL"]',
            )

    if not _runs_windows(workload):
        yield from each(workload.containers(), drops_all)
        yield from _added_capabilities(workload, frozenset({"NET_BIND_SERVICE"}))


def _host_path_volumes(workload: Workload) -> Iterator[Judgement]:
    def check(volume: Node) -> Iterator[Judgement]:
        if volume.has("hostPath"):
            yield fails("mounts a directory of its node", field=volume.at("hostPath"), bound="left out")

    yield from each(workload.pod.nodes("volumes"), check)


def _restricted_volumes(workload: Workload) -> Iterator[Judgement]:
    def check(volume: Node) -> Iterator[Judgement]:
        # a volume without a source is an emptyDir
        for kind in sorted(set(volume.names()) - _RESTRICTED_VOLUMES - {"name"}):
            if volume.has(kind):
                yield fails(
                    f"has a volume of type {kind}",
                    field=volume.at(kind),
                    bound=f"of type {', '.join(sorted(_RESTRICTED_VOLUMES))}",
                )

    yield from each(workload.pod.nodes("volumes"), check)


def _host_ports(workload: Workload) -> Iterator[Judgement]:
    def check(port: Node) -> Iterator[Judgement]:
        number = port.whole("hostPort")
        if number:
            yield fails("takes a port of its node", field=port.at("hostPort"), value=number, bound="left out")

    for container in workload.containers():
        yield from each([container], lambda c: each(c.node.nodes("ports"), check))


def _app_armor(workload: Workload) -> Iterator[Judgement]:
    def check(context: Node) -> Iterator[Judgement]:
        if context.has("appArmorProfile"):
            profile = context.node("appArmorProfile")
            if profile.text("type") not in _PROFILES:
                yield fails(
                    "loosens AppArmor",
                    field=profile.at("type"),
                    value=profile.text("type"),
                    bound=" or ".join(_PROFILES),
                )

    def annotation(name: str) -> Iterator[Judgement]:
        value = annotations.text(name) or ""
        if value and value != "runtime/default" and not value.startswith("localhost/"):
            yield fails(
                "loosens AppArmor",
                field=annotations.at(name),
                value=value,
                bound="runtime/default or localhost/...",
            )

    yield from _contexts(workload, check)
    annotations = workload.template.node("metadata", "annotations")
    yield from each(
        [name for name in annotations.names() if name.startswith(_APPARMOR_ANNOTATION)], annotation
    )


def _se_linux(workload: Workload) -> Iterator[Judgement]:
    def check(context: Node) -> Iterator[Judgement]:
        options = context.node("seLinuxOptions")
        kind = options.text("type") or ""
        if kind not in _SELINUX_TYPES:
            yield fails(
                "sets an SELinux type",
                field=options.at("type"),
                value=kind,
                bound=f"one of {', '.join(sorted(_SELINUX_TYPES - {''}))}",
            )
        for name in ("user", "role"):
            if options.text(name):
                yield fails(f"sets an SELinux {name}", field=options.at(name), bound="left out")

    yield from _contexts(workload, check)


def _proc_mount(workload: Workload, *, relaxed: bool) -> Iterator[Judgement]:
    def check(container: Container) -> Iterator[Judgement]:
        context = _context(container)
        value = context.text("procMount")
        if value not in (None, "Default") and not (relaxed and _in_user_namespace(workload)):
            yield fails(
                f"container {container.name} unmasks /proc",
                field=context.at("procMount"),
                value=value,
                bound="Default",
            )

    yield from each(workload.containers(), check)


def _seccomp_not_loosened(workload: Workload) -> Iterator[Judgement]:
    def check(context: Node) -> Iterator[Judgement]:
        if context.has("seccompProfile"):
            profile = context.node("seccompProfile")
            if profile.text("type") not in _PROFILES:
                yield fails(
                    "loosens seccomp",
                    field=profile.at("type"),
                    value=profile.text("type"),
                    bound=" or ".join(_PROFILES),
                )

    yield from _contexts(workload, check)


def _seccomp_set(workload: Workload) -> Iterator[Judgement]:
    def inherits(container: Container) -> Iterator[Judgement]:
        context = _context(container)
        if context.has("seccompProfile"):
            return
        if _pod_context(workload).node("seccompProfile").text("type") not in _PROFILES:
            yield fails(
                f"container {container.name} has no seccomp profile, nor has its pod",
                field=context.at("seccompProfile") + ".type",
                bound=" or ".join(_PROFILES),
            )

    if not _runs_windows(workload):
        yield from _seccomp_not_loosened(workload)
        yield from each(workload.containers(), inherits)


def _sysctls(workload: Workload) -> Iterator[Judgement]:
    def check(sysctl: Node) -> Iterator[Judgement]:
        name = sysctl.text("name")
        if name not in _SYSCTLS:
            yield fails("sets an unsafe sysctl", field=sysctl.at("name"), value=name, bound="a safe one")

    yield from each(_pod_context(workload).nodes("sysctls"), check)


def _handler_hosts(workload: Workload) -> Iterator[Judgement]:
    handlers = (
        ("livenessProbe",),
        ("readinessProbe",),
        ("startupProbe",),
        ("lifecycle", "postStart"),
        ("lifecycle", "preStop"),
    )

    def check(handler: Node) -> Iterator[Judgement]:
        for kind in ("httpGet", "tcpSocket"):
            action = handler.node(kind)
            if action.text("host"):
                yield fails(
                    "lets the node contact a host of its choice",
                    field=action.at("host"),
                    value=action.text("host"),
                    bound="left out",
                )

    for container in workload.containers():
        yield from each(handlers, lambda path, c=container: check(c.node.node(*path)))  # type: ignore[misc]


def _escalation(workload: Workload) -> Iterator[Judgement]:
    def check(container: Container) -> Iterator[Judgement]:
        context = _context(container)
        value = context.flag("allowPrivilegeEscalation")
        if value is not False and not _runs_windows(workload):
            yield fails(
                f"container {container.name} may gain privileges",
                field=context.at("allowPrivilegeEscalation"),
                value="unset" if value is None else "true",
                bound="false",
            )

    yield from each(workload.containers(), check)


def _non_root(workload: Workload) -> Iterator[Judgement]:
    def pod(context: Node) -> Iterator[Judgement]:
        if context.flag("runAsNonRoot") is False and not _in_user_namespace(workload):
            yield fails("may run as root", field=context.at("runAsNonRoot"), value="false", bound="true")

    def check(container: Container) -> Iterator[Judgement]:
        context = _context(container)
        own = context.flag("runAsNonRoot")
        effective = own if own is not None else _pod_context(workload).flag("runAsNonRoot")
        if effective is not True and not _in_user_namespace(workload):
            yield fails(
                f"container {container.name} may run as root",
                field=context.at("runAsNonRoot"),
                value="unset here and in the pod" if effective is None else "false",
                bound="true",
            )

    yield from each([workload], lambda w: pod(_pod_context(w)))
    yield from each(workload.containers(), check)


def _non_root_user(workload: Workload) -> Iterator[Judgement]:
    def check(context: Node) -> Iterator[Judgement]:
        if context.whole("runAsUser") == 0 and not _in_user_namespace(workload):
            yield fails("runs as user 0", field=context.at("runAsUser"), value="0", bound="another user")

    yield from _contexts(workload, check)


_SHARED = (
    Control("Host processes", _host_process),
    Control("Host namespaces", _host_namespaces),
    Control("Privileged containers", _privileged),
    Control("Host ports", _host_ports),
    Control("Host probes and lifecycle hooks", _handler_hosts),
    Control("AppArmor", _app_armor),
    Control("SELinux", _se_linux),
    Control("Sysctls", _sysctls),
)
BASELINE = (
    *_SHARED,
    Control("Capabilities", _baseline_capabilities),
    Control("HostPath volumes", _host_path_volumes),
    Control("/proc mount type", partial(_proc_mount, relaxed=True)),
    Control("Seccomp", _seccomp_not_loosened),
)
RESTRICTED = (
    *_SHARED,
    Control("Capabilities", _restricted_capabilities),
    Control("Volume types", _restricted_volumes),
    Control("Privilege escalation", _escalation),
    Control("Running as non-root", _non_root),
    Control("Running as non-root user", _non_root_user),
    Control("/proc mount type", partial(_proc_mount, relaxed=False)),
    Control("Seccomp", _seccomp_set),
)
