"""A cache that may forget."""

import pulumi

from pulumi_groundplan import pods
from pulumi_groundplan.redis import PORT, Redis, RedisArgs

DEFAULT_SIZE: pods.Size = {"cpu": "50m", "memory": "64Mi"}


class CacheArgs(RedisArgs, total=False):
    """Arguments of a Cache."""


class Cache(Redis):
    """Redis as a cache: when it is full it drops what was used least lately, and it keeps nothing over a
    restart."""

    def __init__(self, name: str, args: CacheArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(
            "cache",
            name,
            args,
            opts,
            port=PORT,
            accepted="a cache may be lost: its clients then ask the source",
        )
        settings = {"maxmemory-policy": "allkeys-lru", "save": "", "appendonly": "no"}
        self._serve(args, DEFAULT_SIZE, settings, [pods.scratch("data")], [])
