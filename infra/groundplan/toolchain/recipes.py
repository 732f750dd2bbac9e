"""The recipes in catalogue.yaml, checked."""

import functools
from importlib import resources
from typing import Any

import yaml
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from pydantic import BaseModel, ConfigDict, Field

from groundplan.errors import ToolchainError


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Check(_Model):
    """How a tool on PATH tells its version, and which versions fit."""

    args: tuple[str, ...]
    pattern: str
    fits: str

    def accepts(self, version: str) -> bool:
        """Tell whether this version will do."""
        return Version(version) in SpecifierSet(self.fits)


class Release(_Model):
    """The project's official release; `{arch}` and `{tool}` in the addresses are filled in."""

    url: str
    checksum: str


class ModuleFile(_Model):
    """A file of a Go module, wanted beside the build or beside the result."""

    module: str
    path: str
    origin: str | None = Field(default=None, alias="from")
    set: dict[str, Any] = Field(default_factory=dict)


class Build(_Model):
    """A build from a pinned Go module in modules/."""

    module: str
    packages: tuple[str, ...]
    seconds: int
    tags: tuple[str, ...] = ()
    variables: dict[str, str] = Field(default_factory=dict)
    stage: tuple[ModuleFile, ...] = ()
    copies: tuple[ModuleFile, ...] = ()


class Recipe(_Model):
    """How one group of tools is obtained."""

    name: str
    version: str | None = None
    tools: tuple[str, ...]
    helpers: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    check: Check | None = None
    release: Release | None = None
    build: Build | None = None
    package: str | None = None


@functools.cache
def catalogue() -> dict[str, Recipe]:
    """Return all recipes by name."""
    text = resources.files(__package__).joinpath("catalogue.yaml").read_text()
    return {name: Recipe(name=name, **entry) for name, entry in yaml.safe_load(text).items()}


def recipes_for(names: tuple[str, ...]) -> list[Recipe]:
    """Return the recipes that provide these tools or have these names, each once, in catalogue order."""
    known = {tool: recipe for recipe in catalogue().values() for tool in (recipe.name, *recipe.tools)}
    for name in names:
        if name not in known:
            raise ToolchainError(
                "there is no such tool",
                value=name,
                bound="one of " + ", ".join(catalogue()),
                fix="`groundplan toolchain status` lists them",
            )
    wanted = {known[name].name for name in names}
    return [recipe for recipe in catalogue().values() if recipe.name in wanted]
