"""The one tree of errors: what was wrong, where, the value, the bound, and what to do.

The library raises these; the command line turns them into one readable message and exit code 1.
Anything else that escapes is a defect of groundplan.
"""

from dataclasses import dataclass


@dataclass(eq=False)
class GroundplanError(Exception):
    """A failure that a person can act on.

    what: one sentence, without a full stop, that names the failure.
    where: file and line, field path, resource or process that it concerns.
    value: the offending value as given.
    bound: what the value must satisfy.
    fix: what to do about it.
    """

    what: str
    where: str | None = None
    value: object | None = None
    bound: str | None = None
    fix: str | None = None

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        if self.value is not None:
            text += f", got {self.value!r}"
        if self.bound:
            text += f", must be {self.bound}"
        if self.fix:
            text += f". {self.fix}"
        return text


class SpecError(GroundplanError):
    """The stated promise (spec file, component argument or annotation) can't be read."""


class ModelError(GroundplanError):
    """A model was asked for something it can't answer, such as a negative rate."""


class ToolchainError(GroundplanError):
    """A tool could not be found, downloaded, built or verified."""


class ClusterError(GroundplanError):
    """The cluster could not be brought up, reached or taken down."""


class DeployError(GroundplanError):
    """A preview or an update of the stack failed or was refused."""


class VerifyError(GroundplanError):
    """A measurement could not be made."""
