"""Redis, the server of Cache and Broker."""

from collections.abc import Mapping
from typing import Any

import pulumi

from groundplan.errors import SpecError
from groundplan.spec import parse_quantity
from pulumi_groundplan import network, pods
from pulumi_groundplan.base import Manifest
from pulumi_groundplan.promise import PodArgs, PromiseArgs, ServerArgs
from pulumi_groundplan.stateful import CredentialArgs, Stateful

PORT = 6379
DATA_SHARE = 0.7
"""Share of the memory limit that data may fill; the rest is for buffers and the fork that rewrites files."""


class RedisArgs(PodArgs, PromiseArgs, ServerArgs, CredentialArgs, total=False):
    """Arguments of both Redis components."""


class Redis(Stateful):
    """One Redis behind a password."""

    host: pulumi.Output[str]
    """Name within the namespace."""
    port: pulumi.Output[int]
    """Port within the namespace."""
    secret_name: pulumi.Output[str]
    """Name of the Secret that holds the password, under `password`."""

    def _serve(
        self,
        args: Mapping[str, Any],
        size: pods.Size,
        settings: Mapping[str, str],
        volumes: list[Manifest],
        claims: list[Manifest],
    ) -> None:
        secret = self._credentials(args)
        limits = pods.resources(args, size)
        max_bytes = int(DATA_SHARE * parse_quantity(limits["limits"]["memory"]))
        if max_bytes < 1_000_000:
            raise SpecError(
                "memory is too low", where=self._where, value=limits["limits"]["memory"], bound="at least 2Mi"
            )
        options = {"dir": "/data", "maxmemory": str(max_bytes), **settings}
        main = pods.container(
            name=self._name,
            image=args["image"],
            resources=limits,
            ports={"tcp": PORT},
            env=[
                {"name": "REDIS_PASSWORD", "valueFrom": self._password},
                # what redis-cli reads in the probes
                {"name": "REDISCLI_AUTH", "valueFrom": self._password},
            ],
            mounts={"/data": "data", "/tmp": "scratch"},  # noqa: S108 - in the container
            args=[text for key, value in options.items() for text in (f"--{key}", value)],
            startupProbe=_ping(period=2, failures=60),
            livenessProbe={"tcpSocket": {"port": "tcp"}, "periodSeconds": 10, "failureThreshold": 3},
            readinessProbe=_ping(period=10, failures=2),
        )
        service = self._run(
            template={"containers": [main], "volumes": [pods.scratch("scratch", "1Mi"), *volumes]},
            claims=claims,
            ingress=network.ingress(PORT, args.get("allow_from") or []),
            egress=network.egress(args.get("connects_to") or []),
            depends_on=[secret],
        )
        self.host = service.metadata.apply(lambda metadata: str(metadata["name"]))
        self.port = pulumi.Output.from_input(PORT)
        self.secret_name = secret.metadata.apply(lambda metadata: str(metadata["name"]))
        self._finish({"host": self.host, "port": self.port, "secretName": self.secret_name})


def _ping(*, period: int, failures: int) -> Manifest:
    # while Redis loads its file it answers LOADING with exit code 0, so the answer itself is looked at
    command = ["/bin/sh", "-c", '[ "$(redis-cli ping)" = PONG ]']
    return pods.exec_probe(command, period=period, failures=failures, timeout=5)
