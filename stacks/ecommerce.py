"""The shop: what stacks/ecommerce.yaml states, built from components."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
from groundplan.errors import SpecError
from groundplan.models import plan
from groundplan.spec import Service, System, load_system, system_to_annotation
from pulumi_groundplan import (
    IMAGES,
    Balancing,
    Broker,
    Cache,
    ContainerImage,
    ContainerImageArgs,
    Credentials,
    Database,
    Environment,
    LoadBalancer,
    Monitoring,
    Task,
    WebService,
    Worker,
    stated,
    stated_replicas,
)
from pulumi_groundplan.pods import SecretKey
from settings import Settings, read_settings, require_a_named_cluster

HERE = Path(__file__).parent
SPEC = HERE / "ecommerce.yaml"
REPOSITORY = HERE.parent
EDGE_CONNECTIONS = 40
"""Most clients of the database: processes of all web replicas and workers, twice over during a rollout."""
