"""The package as a Pulumi provider, for programs in other languages."""

import json
import sys
from typing import Any

import pulumi
import pulumi.provider
from pulumi.provider.experimental.analyzer import Analyzer
from pulumi.provider.experimental.component import ComponentProvider
from pulumi.provider.experimental.util import camel_case

from pulumi_groundplan.broker import Broker
from pulumi_groundplan.cache import Cache
from pulumi_groundplan.container_image import ContainerImage
from pulumi_groundplan.credentials import Credentials
from pulumi_groundplan.database import Database
from pulumi_groundplan.environment import Environment
from pulumi_groundplan.load_balancer import LoadBalancer
from pulumi_groundplan.monitoring import Monitoring
from pulumi_groundplan.pods import ProcessArgs
from pulumi_groundplan.promise import PodArgs, PromiseArgs, ReplicaArgs, ServerArgs, SizeArgs
from pulumi_groundplan.redis import Redis
from pulumi_groundplan.stateful import CredentialArgs, VolumeArgs
from pulumi_groundplan.task import Task
from pulumi_groundplan.web_service import WebService
from pulumi_groundplan.worker import Worker

NAME = "groundplan"
VERSION = "0.1.0"

COMPONENTS: tuple[type[pulumi.ComponentResource], ...] = (
    Broker,
    Cache,
    ContainerImage,
    Credentials,
    Database,
    Environment,
    LoadBalancer,
    Monitoring,
    Task,
    WebService,
    Worker,
)

_SHARED: tuple[type, ...] = (
    SizeArgs,
    PodArgs,
    PromiseArgs,
    ReplicaArgs,
    ServerArgs,
    ProcessArgs,
    CredentialArgs,
    VolumeArgs,
    Redis,
)


class Provider(ComponentProvider):
    """Pulumi's own provider for components, with a complete schema.

    Pulumi's analysis reads only the docstrings that stand in a class itself, so arguments that several
    components share lose their descriptions; they are put back here.
    """

    def __init__(self) -> None:
        super().__init__(list(COMPONENTS), NAME, version=VERSION)
        analyzer = Analyzer(NAME)
        shared = {
            camel_case(field): text
            for owner in _SHARED
            for field in owner.__annotations__
            if (text := analyzer.get_docstring(owner, field))
        }
        schema: dict[str, Any] = json.loads(self.schema or "{}")
        for resource in schema["resources"].values():
            for part in ("inputProperties", "properties"):
                for field, stated in resource.get(part, {}).items():
                    if not stated.get("description") and shared.get(field):
                        stated["description"] = shared[field]
        self.schema = json.dumps(schema)


def serve() -> None:
    """Serve the components to the engine that started this process; ends with it."""
    pulumi.provider.main(Provider(), sys.argv[1:])
