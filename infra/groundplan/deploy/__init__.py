"""Preview, update and removal of a Pulumi stack with the policy gate, live progress and recovery."""

from groundplan.deploy.deployment import Deployment
from groundplan.deploy.events import Change, Diagnostic, Outcome, Violation
from groundplan.deploy.settings import DeploySettings, known_stacks

__all__ = ["Change", "DeploySettings", "Deployment", "Diagnostic", "Outcome", "Violation", "known_stacks"]
