"""A relational database with backups."""

import re
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from groundplan.errors import SpecError
from groundplan.spec import parse_quantity
from pulumi_groundplan import network, pods
from pulumi_groundplan.base import Manifest
from pulumi_groundplan.promise import PodArgs, PromiseArgs, ServerArgs
from pulumi_groundplan.stateful import CredentialArgs, Stateful, VolumeArgs

PORT = 5432
DEFAULT_SIZE: pods.Size = {"cpu": "100m", "memory": "256Mi"}
BACKUP_SIZE: pods.Size = {"cpu": "50m", "memory": "128Mi"}
DEFAULT_STORAGE = "1Gi"
DEFAULT_SCHEDULE = "17 3 * * *"
DEFAULT_KEEP = 7
BACKUP_TIMEOUT_SECONDS = 3600
KEPT_SECONDS = 24 * 3600
SHARED_BUFFERS_SHARE = 0.25
"""Share of the memory that PostgreSQL's own cache takes; its manual's advice for a dedicated server."""
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class DatabaseArgs(PodArgs, PromiseArgs, ServerArgs, CredentialArgs, VolumeArgs, total=False):
    """Arguments of a Database."""

    database: str
    """Name of the database and of the role that owns it. Default app."""
    max_connections: int
    """Most clients at once. Default 100."""
    backup_schedule: str
    """When to back up, in cron's notation and UTC. Default 17 3 * * *, daily."""
    backup_keep: int
    """How many backups to keep. Default 7."""
    backup_storage: str
    """Size of the volume for backups. Default: that of `storage`."""


class Database(Stateful):
    """PostgreSQL with a volume, a daily backup that is proven readable, and a restore at hand:
    `kubectl create job --from=cronjob/<name>-restore <job>`."""

    host: pulumi.Output[str]
    """Name within the namespace."""
    port: pulumi.Output[int]
    """Port within the namespace."""
    database: pulumi.Output[str]
    """Name of the database."""
    user: pulumi.Output[str]
    """Name of the role that owns it."""
    secret_name: pulumi.Output[str]
    """Name of the Secret that holds the password, under `password`."""
    backup: pulumi.Output[str]
    """Name of the CronJob that backs up."""
    restore: pulumi.Output[str]
    """Name of the suspended CronJob that restores; make a Job of it to restore."""

    def __init__(self, name: str, args: DatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        storage = args.get("storage") or DEFAULT_STORAGE
        super().__init__(
            "database",
            name,
            {**args, "storage": storage},
            opts,
            port=PORT,
            accepted="it has one writer: data outlive a restart on the volume, and backups a loss of it",
        )
        database = args.get("database") or "app"
        keep = int(args.get("backup_keep") or DEFAULT_KEEP)
        if not _IDENTIFIER.fullmatch(database):
            raise SpecError(
                "database is not a name that PostgreSQL takes unquoted",
                where=self._where,
                value=database,
                bound="lower-case letters, digits and underscores, no digit first",
            )
        if keep < 1:
            raise SpecError("backup_keep is too low", where=self._where, value=keep, bound="at least 1")
        tool = f"{name}-backup"
        secret = self._credentials(args)
        service = self._run(
            template={
                "containers": [self._server(args, database)],
                "volumes": [pods.scratch("socket", "1Mi"), pods.scratch("scratch")],
            },
            claims=[self._claim("data", args, storage)],
            ingress=network.ingress(PORT, [*(args.get("allow_from") or []), tool]),
            egress=network.egress(args.get("connects_to") or []),
            depends_on=[secret],
        )
        self._backups(
            args, database, tool, keep=keep, storage=args.get("backup_storage") or storage, secret=secret
        )
        self.host = service.metadata.apply(lambda metadata: str(metadata["name"]))
        self.port = pulumi.Output.from_input(PORT)
        self.database = pulumi.Output.from_input(database)
        self.user = pulumi.Output.from_input(database)
        self.secret_name = secret.metadata.apply(lambda metadata: str(metadata["name"]))
        self.backup = pulumi.Output.from_input(tool)
        self.restore = pulumi.Output.from_input(f"{name}-restore")
        self._finish(
            {
                "host": self.host,
                "port": self.port,
                "database": self.database,
                "user": self.user,
                "secretName": self.secret_name,
                "backup": self.backup,
                "restore": self.restore,
            }
        )

    def _server(self, args: DatabaseArgs, database: str) -> Manifest:
        limits = pods.resources(args, DEFAULT_SIZE)
        buffers = int(SHARED_BUFFERS_SHARE * parse_quantity(limits["limits"]["memory"]) / 2**10)
        settings = {
            "shared_buffers": f"{buffers}kB",
            "max_connections": str(int(args.get("max_connections") or 100)),
            # /dev/shm of a container is small, and parallel queries would need it
            "dynamic_shared_memory_type": "mmap",
        }
        ready = (
            f'PGPASSWORD="$POSTGRES_PASSWORD" psql -h 127.0.0.1 -U {database} -d {database} -qtAXc "select 1"'
        )
        return pods.container(
            name=self._name,
            image=args["image"],
            resources=limits,
            ports={"tcp": PORT},
            env=[
                {"name": "PGDATA", "value": "/var/lib/postgresql/data/pgdata"},
                {"name": "POSTGRES_DB", "value": database},
                {"name": "POSTGRES_USER", "value": database},
                {"name": "POSTGRES_PASSWORD", "valueFrom": self._password},
            ],
            mounts={
                "/var/lib/postgresql/data": "data",
                "/run/postgresql": "socket",
                "/tmp": "scratch",  # noqa: S108 - in the container
            },
            args=[
                "/usr/local/bin/entrypoint",
                *(text for key, value in settings.items() for text in ("-c", f"{key}={value}")),
            ],
            # the first start makes the database's files; later ones may replay a long log
            startupProbe=pods.exec_probe(["/bin/sh", "-c", ready], period=3, failures=200, timeout=5),
            livenessProbe={"tcpSocket": {"port": "tcp"}, "periodSeconds": 10, "failureThreshold": 6},
            readinessProbe=pods.exec_probe(["/bin/sh", "-c", ready], period=10, failures=3, timeout=5),
        )

    def _backups(
        self,
        args: DatabaseArgs,
        database: str,
        tool: str,
        *,
        keep: int,
        storage: str,
        secret: k8s.core.v1.Secret,
    ) -> None:
        name = self._name
        labels = self._labels("backup", tool)
        claim = self._claim(f"{name}-backups", args, storage)
        claim["metadata"] = self._metadata(
            "-backups",
            # a volume that waits for its first pod would be waited for in vain
            annotations={"pulumi.com/skipAwait": "true"},
        )
        volume = self._add("backups", k8s.core.v1.PersistentVolumeClaim, claim)
        policy = self._add(
            "backup-network-policy",
            k8s.networking.v1.NetworkPolicy,
            network.policy(tool, self._namespace, labels, [], network.egress([name])),
        )
        after = pulumi.ResourceOptions(depends_on=[volume, policy, secret])

        def job(program: str, retries: int) -> Manifest:
            main = pods.container(
                name=program,
                image=args["image"],
                resources=pods.resources({}, BACKUP_SIZE),
                env=[
                    {"name": "PGHOST", "value": name},
                    {"name": "PGUSER", "value": database},
                    {"name": "PGDATABASE", "value": database},
                    {"name": "PGPASSWORD", "valueFrom": self._password},
                    {"name": "BACKUP_KEEP", "value": str(keep)},
                ],
                mounts={"/backups": "backups", "/tmp": "scratch"},  # noqa: S108 - in the container
                args=[f"/usr/local/bin/{program}"],
            )
            return {
                "metadata": {"labels": labels},
                "spec": {
                    "backoffLimit": retries,
                    "activeDeadlineSeconds": BACKUP_TIMEOUT_SECONDS,
                    "ttlSecondsAfterFinished": KEPT_SECONDS,
                    "template": pods.template(
                        labels=labels,
                        service_account=name,
                        containers=[main],
                        volumes=[
                            {"name": "backups", "persistentVolumeClaim": {"claimName": f"{name}-backups"}},
                            pods.scratch("scratch"),
                        ],
                        grace_seconds=30,
                        restartPolicy="Never",
                    ),
                },
            }

        def cron_job(suffix: str, schedule: str, **fields: Any) -> Manifest:
            return {
                "metadata": self._metadata(suffix),
                "spec": {
                    "schedule": schedule,
                    "timeZone": "Etc/UTC",
                    "concurrencyPolicy": "Forbid",
                    "startingDeadlineSeconds": 3600,
                    "successfulJobsHistoryLimit": 1,
                    "failedJobsHistoryLimit": 3,
                    **fields,
                },
            }

        self._add(
            "backup",
            k8s.batch.v1.CronJob,
            cron_job(
                "-backup", args.get("backup_schedule") or DEFAULT_SCHEDULE, jobTemplate=job("backup", 2)
            ),
            after,
        )
        # never runs by itself: it holds the recipe, with the right image, volume and network
        self._add(
            "restore",
            k8s.batch.v1.CronJob,
            cron_job("-restore", DEFAULT_SCHEDULE, suspend=True, jobTemplate=job("restore", 0)),
            after,
        )
