"""The shop: what stacks/ecommerce.yaml states, built from components."""

from pathlib import Path
from typing import Any, cast

import pulumi
from settings import Settings, read_settings, require_a_named_cluster

from groundplan.errors import SpecError
from groundplan.models import plan
from groundplan.spec import Service, System, load_system
from pulumi_groundplan import (
    IMAGES,
    Balancing,
    Broker,
    BrokerArgs,
    Cache,
    CacheArgs,
    ContainerImage,
    ContainerImageArgs,
    Credentials,
    Database,
    DatabaseArgs,
    Environment,
    EnvironmentArgs,
    LoadBalancer,
    LoadBalancerArgs,
    Monitoring,
    MonitoringArgs,
    Task,
    WebService,
    WebServiceArgs,
    Worker,
    WorkerArgs,
    stated,
)
from pulumi_groundplan.pods import FILES_FOLDER, SecretKey
from pulumi_groundplan.promise import Slo

HERE = Path(__file__).parent
SPEC = HERE / "ecommerce.yaml"
REPOSITORY = HERE.parent
APP_UTILITIES = ["migrate", "seed"]
WEB_PORT = 8000
"""Port of the shop, where its metrics are too."""
METRICS_PORT = 9808
"""Port of the workers' metrics and health."""


def program() -> None:
    """Declare everything. Raises SpecError for a spec or a setting that doesn't fit."""
    require_a_named_cluster()
    settings = read_settings()
    system = load_system(SPEC)
    shop = Shop(system, settings)
    predicted = plan.evaluate(system)
    pulumi.export("namespace", shop.environment.namespace)
    pulumi.export("nodePort", shop.edge.node_port)
    pulumi.export("services", list(system.services))
    pulumi.export("adminUser", ADMIN_USER)
    pulumi.export("adminPassword", shop.keys.values.apply(lambda values: values[ADMIN_PASSWORD]))
    pulumi.export(
        "predicted",
        {
            "promises": [_plain(promise) for promise in predicted.promises],
            "costPerMonth": f"{predicted.cost.total} {predicted.cost.currency}",
        },
    )


ADMIN_USER = "admin"
SECRET_KEY, ADMIN_PASSWORD = "secret-key", "admin-password"


class Shop:
    """The parts of the shop, each named like its service in the spec."""

    def __init__(self, system: System, settings: Settings) -> None:
        self._system = system
        self._settings = settings
        self.environment = Environment(system.name, _environment(system))
        self._namespace = self.environment.namespace
        self.keys = Credentials(
            "shop-keys", {"namespace": self._namespace, "entries": [SECRET_KEY, ADMIN_PASSWORD]}
        )
        app = self._image("shop", REPOSITORY, REPOSITORY / "app" / "Dockerfile", packages=True)
        redis = self._image("redis", IMAGES / "redis")
        self._cache(redis)
        self._broker(redis)
        self._database(self._image("postgresql", IMAGES / "postgresql"))
        self._monitoring(self._image("prometheus", IMAGES / "prometheus"))
        migrated = self._task("migrate", app, [self.database, self.cache, self.broker])
        seeded = self._task("seed", app, [migrated])
        self._shop(app, [seeded])
        self._orders(app, [seeded])
        self._edge(self._image("nginx", IMAGES / "nginx"))

    def _service(self, name: str) -> Service:
        service = self._system.services.get(name)
        if service is None:
            raise SpecError(
                "a service of the shop is missing", where=str(SPEC), value=name, bound="stated in services"
            )
        return service

    def _single(self, name: str) -> Service:
        service = self._service(name)
        if service.replicas != 1:
            raise SpecError(
                f"services.{name}.replicas doesn't fit",
                where=str(SPEC),
                value=service.replicas,
                bound="1, because the component runs one server",
            )
        return service

    def _callers(self, name: str) -> list[str]:
        """The services that the spec lets call this one."""
        services = self._system.services.items()
        return [caller for caller, service in services if any(call.to == name for call in service.calls)]

    def _image(
        self, name: str, context: Path, dockerfile: Path | None = None, *, packages: bool = False
    ) -> pulumi.Output[str]:
        """packages: the build downloads Python packages, and must trust what this machine trusts."""
        settings = self._settings
        args: ContainerImageArgs = {
            "registry": settings.registry,
            "context": str(context),
            "repository": f"{self._system.name}/{name}",
            "builder": settings.builder,
        }
        if dockerfile:
            args["dockerfile"] = str(dockerfile)
        if settings.base:
            args["base"] = settings.base
        if settings.builder_name:
            args["builder_name"] = settings.builder_name
        if packages and settings.ca_certificates:
            args["ca_certificates"] = settings.ca_certificates
        return ContainerImage(f"{name}-image", args).ref

    def _cache(self, image: pulumi.Output[str]) -> None:
        service = self._single("cache")
        args: CacheArgs = {
            "namespace": self._namespace,
            "image": image,
            "allow_from": [*self._callers("cache"), "orders", *APP_UTILITIES],
        }
        self.cache = Cache("cache", stated(service, args))

    def _broker(self, image: pulumi.Output[str]) -> None:
        service = self._single("broker")
        args: BrokerArgs = {
            "namespace": self._namespace,
            "image": image,
            "allow_from": [*self._callers("broker"), *APP_UTILITIES],
        }
        args = self._settings.with_volume(service, args)
        self.broker = Broker("broker", stated(service, args))

    def _database(self, image: pulumi.Output[str]) -> None:
        service = self._single("database")
        args: DatabaseArgs = {
            "namespace": self._namespace,
            "image": image,
            "database": "shop",
            "allow_from": [*self._callers("database"), *APP_UTILITIES],
        }
        args = self._settings.with_volume(service, args)
        self.database = Database("database", stated(service, args))

    def _monitoring(self, image: pulumi.Output[str]) -> None:
        service = self._single("monitoring")
        promise = self._service("shop").slo
        args: MonitoringArgs = {
            "namespace": self._namespace,
            "image": image,
            "allow_from": ["shop"],
            "targets": {"shop": {"port": WEB_PORT}, "orders": {"port": METRICS_PORT}},
            "slos": {"shop": cast(Slo, promise.model_dump(mode="json", exclude_none=True))}
            if promise
            else {},
            "response_time_metric": "http_response_time_seconds",
            "scrape_interval": "10s",
        }
        args = self._settings.with_volume(service, args)
        self.monitoring = Monitoring("monitoring", stated(service, args))

    def _task(self, command: str, image: pulumi.Output[str], after: list[pulumi.Resource]) -> Task:
        return Task(
            command,
            {
                "namespace": self._namespace,
                "image": image,
                "arguments": [command],
                "env": self._env(),
                "secret_env": self._secret_env(),
                "memory": "256Mi",
                "connects_to": ["database", "cache", "broker"],
            },
            pulumi.ResourceOptions(depends_on=after),
        )

    def _shop(self, image: pulumi.Output[str], after: list[pulumi.Resource]) -> None:
        service = self._service("shop")
        args: WebServiceArgs = {
            "namespace": self._namespace,
            "image": image,
            "arguments": ["web"],
            "env": {
                **self._env(),
                "GUNICORN_WORKERS": str(service.concurrency),
                "PLAN_FILE": f"{FILES_FOLDER}/{SPEC.name}",
            },
            "secret_env": self._secret_env(),
            "files": {SPEC.name: SPEC.read_text(encoding="utf-8")},
            "health": {"liveness": "/healthz", "readiness": "/readyz", "startup_seconds": 120},
            "metrics": {"port": WEB_PORT},
            "port": WEB_PORT,
            "allow_from": self._callers("shop"),
            "connects_to": ["monitoring"],
        }
        self.shop = WebService(
            "shop", stated(service, args, replicas=True), pulumi.ResourceOptions(depends_on=after)
        )

    def _orders(self, image: pulumi.Output[str], after: list[pulumi.Resource]) -> None:
        service = self._service("orders")
        args: WorkerArgs = {
            "namespace": self._namespace,
            "image": image,
            "arguments": ["worker"],
            "env": {
                **self._env(),
                "CELERY_CONCURRENCY": str(service.concurrency),
                "EDGE_URL": "http://edge:8080/api/products/",
            },
            "secret_env": self._secret_env(),
            "health": {"path": "/healthz", "port": METRICS_PORT, "startup_seconds": 120},
            "metrics": {"port": METRICS_PORT},
            # the workers probe what the shop depends on
            "connects_to": ["cache", "edge"],
        }
        self.orders = Worker(
            "orders", stated(service, args, replicas=True), pulumi.ResourceOptions(depends_on=after)
        )

    def _edge(self, image: pulumi.Output[str]) -> None:
        service, target = self._service("edge"), self._service("shop")
        args: LoadBalancerArgs = {
            "namespace": self._namespace,
            "image": image,
            "target": "shop",
            "target_port": WEB_PORT,
            "balancing": Balancing.LEAST_CONNECTIONS
            if target.dispatch == "least-connections"
            else Balancing.ROUND_ROBIN,
            "cache_paths": ["/static/"],
            "exposure": self._settings.exposure,
        }
        if self._settings.node_port is not None:
            args["node_port"] = self._settings.node_port
        self.edge = LoadBalancer(
            "edge", stated(service, args, replicas=True), pulumi.ResourceOptions(depends_on=[self.shop])
        )

    def _env(self) -> dict[str, pulumi.Input[str]]:
        """The app's environment; app/README.md lists it."""
        return {
            "DJANGO_ALLOWED_HOSTS": self._settings.allowed_hosts,
            "DATABASE_HOST": "database",
            "DATABASE_NAME": "shop",
            "DATABASE_USER": "shop",
            "CACHE_HOST": "cache",
            "BROKER_HOST": "broker",
            "PROMETHEUS_URL": "http://monitoring:9090",
            "ADMIN_USERNAME": ADMIN_USER,
        }

    def _secret_env(self) -> dict[str, SecretKey]:
        return {
            "DJANGO_SECRET_KEY": {"secret": self.keys.secret_name, "key": SECRET_KEY},
            "ADMIN_PASSWORD": {"secret": self.keys.secret_name, "key": ADMIN_PASSWORD},
            "DATABASE_PASSWORD": {"secret": self.database.secret_name, "key": "password"},
            "CACHE_PASSWORD": {"secret": self.cache.secret_name, "key": "password"},
            "BROKER_PASSWORD": {"secret": self.broker.secret_name, "key": "password"},
        }


def _environment(system: System) -> EnvironmentArgs:
    stated_system = system.model_dump(mode="json", exclude={"name", "services"}, exclude_defaults=True)
    quota = {"cpu": "3", "memory": "6Gi", "storage": "20Gi", "pods": 40}
    return cast(EnvironmentArgs, {**stated_system, "quota": quota})


def _plain(promise: plan.Promise) -> dict[str, Any]:
    """A promise as outputs can hold it: numbers as numbers, money as text."""
    fields = {name: getattr(promise, name) for name in ("service", "metric", "bound", "predicted", "verdict")}
    return {
        name: value if value is None or isinstance(value, str | float) else str(value)
        for name, value in fields.items()
    }
