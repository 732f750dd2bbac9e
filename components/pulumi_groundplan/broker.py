"""A broker that doesn't forget."""

import pulumi

from pulumi_groundplan import pods
from pulumi_groundplan.redis import PORT, Redis, RedisArgs
from pulumi_groundplan.stateful import VolumeArgs

DEFAULT_SIZE: pods.Size = {"cpu": "50m", "memory": "128Mi"}
DEFAULT_STORAGE = "1Gi"


class BrokerArgs(RedisArgs, VolumeArgs, total=False):
    """Arguments of a Broker."""


class Broker(Redis):
    """Redis as a message broker: each message is written to a volume within a second, and when memory is full
    new messages are refused rather than old ones dropped."""

    def __init__(self, name: str, args: BrokerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        storage = args.get("storage") or DEFAULT_STORAGE
        super().__init__(
            "broker",
            name,
            {**args, "storage": storage},
            opts,
            port=PORT,
            accepted="messages outlive a restart on the volume, and senders try again while it starts",
        )
        settings = {"maxmemory-policy": "noeviction", "appendonly": "yes", "appendfsync": "everysec"}
        self._serve(args, DEFAULT_SIZE, settings, [], [self._claim("data", args, storage)])
