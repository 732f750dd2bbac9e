"""Pulumi components that keep a stated promise."""

from pulumi_groundplan.broker import Broker, BrokerArgs
from pulumi_groundplan.cache import Cache, CacheArgs
from pulumi_groundplan.container_image import IMAGES, ContainerImage, ContainerImageArgs, ImageBuilder
from pulumi_groundplan.credentials import Credentials, CredentialsArgs
from pulumi_groundplan.database import Database, DatabaseArgs
from pulumi_groundplan.environment import Environment, EnvironmentArgs
from pulumi_groundplan.load_balancer import Balancing, Exposure, LoadBalancer, LoadBalancerArgs
from pulumi_groundplan.monitoring import Monitoring, MonitoringArgs
from pulumi_groundplan.promise import CallMode, Dispatch, stated
from pulumi_groundplan.task import Task, TaskArgs
from pulumi_groundplan.web_service import WebService, WebServiceArgs
from pulumi_groundplan.worker import Worker, WorkerArgs

__all__ = [
    "IMAGES",
    "Balancing",
    "Broker",
    "BrokerArgs",
    "Cache",
    "CacheArgs",
    "CallMode",
    "ContainerImage",
    "ContainerImageArgs",
    "Credentials",
    "CredentialsArgs",
    "Database",
    "DatabaseArgs",
    "Dispatch",
    "Environment",
    "EnvironmentArgs",
    "Exposure",
    "ImageBuilder",
    "LoadBalancer",
    "LoadBalancerArgs",
    "Monitoring",
    "MonitoringArgs",
    "Task",
    "TaskArgs",
    "WebService",
    "WebServiceArgs",
    "Worker",
    "WorkerArgs",
    "stated",
]
