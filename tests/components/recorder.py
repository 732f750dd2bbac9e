"""Runs a Pulumi program in this process and records what it declares."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pulumi.runtime import MockCallArgs, MockResourceArgs, Mocks, set_mocks, test

Manifest = dict[str, Any]


@dataclass
class Declared(Mocks):
    """The resources of a program, with their inputs as the provider gets them."""

    resources: list[MockResourceArgs] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[Any, Any]]:
        self.resources.append(args)
        return f"{args.name}-id", {**args.inputs, **_computed(args)}

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], None]:
        raise AssertionError(f"nothing is called, but {args.token} was")

    def of(self, kind: str) -> list[Manifest]:
        """Inputs of all resources whose type ends with `kind`, such as Deployment."""
        return [args.inputs for args in self.resources if args.typ.rsplit(":", 1)[-1] == kind]

    def one(self, kind: str, name: str | None = None) -> Manifest:
        """The resource of a kind, by its Kubernetes name where there are several."""
        found = [
            manifest for manifest in self.of(kind) if name is None or manifest["metadata"]["name"] == name
        ]
        assert len(found) == 1, f"{len(found)} of {kind} {name or ''}"
        return found[0]

    def container(self, kind: str) -> Manifest:
        """The only container of the only workload of a kind."""
        containers = self.one(kind)["spec"]["template"]["spec"]["containers"]
        assert len(containers) == 1
        return dict(containers[0])


def _computed(args: MockResourceArgs) -> dict[str, Any]:
    """What a real provider adds to the outputs, as far as components read it."""
    if args.typ == "docker-build:index:Image":
        return {"ref": f"{args.inputs['tags'][0]}@sha256:{'0' * 64}"}
    if args.typ == "docker:index/image:Image":
        return {"repoDigest": f"{args.inputs['imageName']}@sha256:{'1' * 64}"}
    return {}


def declare(program: Callable[[], Any], stack: str = "test") -> Declared:
    """Run a program; what it raises passes through."""
    declared = Declared()
    set_mocks(declared, project="groundplan", stack=stack, preview=False)
    test(program)()  # type: ignore[no-untyped-call] # Pulumi leaves it untyped
    return declared


COMMON: Any = {"namespace": "shop", "image": "registry.test/shop@sha256:" + "a" * 64}


def arguments(args: dict[str, Any], **more: Any) -> Any:
    """A component's arguments: what every component needs, then `more`, then `args`."""
    return {**COMMON, **more, **args}
