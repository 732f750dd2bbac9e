"""What to send to a stack: its load profile, a YAML file beside the stack's spec."""

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from groundplan.errors import VerifyError
from groundplan.verify.load import LoadPlan, Request


class LoadProfile(BaseModel):
    """The mix of requests that outsiders send.

    entry: the service of the spec that they arrive at. output: the stack's output that holds its address.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    entry: str
    output: str = "address"
    requests: tuple[Request, ...] = Field(min_length=1)
    timeout_seconds: float = Field(default=10.0, gt=0, le=120)

    def plan(
        self, address: str, rate_per_second: float, duration_seconds: float, networks: tuple[str, ...] = ()
    ) -> LoadPlan:
        """The load at one rate."""
        return LoadPlan(
            base_url=address,
            requests=self.requests,
            rate_per_second=rate_per_second,
            duration_seconds=duration_seconds,
            timeout_seconds=self.timeout_seconds,
            networks=networks,
        )


def load_profile(path: Path) -> LoadProfile:
    """Read a profile. Raises VerifyError, which names the field, when it can't be read."""
    try:
        return LoadProfile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise VerifyError(
            f"The load profile can't be read ({error.strerror})",
            str(path),
            fix="Describe the requests that outsiders send there; docs/verify.md tells how.",
        ) from error
    except yaml.YAMLError as error:
        raise VerifyError(f"The load profile isn't valid YAML: {error}", str(path)) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise VerifyError(
            f"{field or 'the load profile'}: {first['msg']}", str(path), first["input"]
        ) from error
