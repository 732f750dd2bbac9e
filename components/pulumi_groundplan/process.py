"""How ProcessArgs become parts of a pod: shared by WebService, Worker and Task."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi

from pulumi_groundplan import pods
from pulumi_groundplan.base import Manifest

_FILES = "files"


@dataclass
class Process:
    """A program in a pod, ready to be put together."""

    container_fields: Manifest
    """Arguments for pods.container."""
    writable: list[Manifest]
    """Volumes of the folders that the program writes to."""
    files: dict[str, pulumi.Input[str]]
    """Files that a ConfigMap has to hold."""
    annotations: dict[str, Any]
    """Annotations of the pod."""
    user_id: int
    depends_on: list[pulumi.Resource] = field(default_factory=list)

    def volumes(self, owner: str) -> list[Manifest]:
        """All volumes of the pod; `owner` names the ConfigMap `<owner>-files`."""
        if not self.files:
            return self.writable
        return [*self.writable, {"name": _FILES, "configMap": {"name": f"{owner}-{_FILES}"}}]


def process(args: Mapping[str, Any]) -> Process:
    """Read the program's part of a component's arguments."""
    mounts, writable = pods.writable_folders(args.get("writable") or ["/tmp"])  # noqa: S108 - in the container
    files = dict(args.get("files") or {})
    if files:
        mounts[pods.FILES_FOLDER] = _FILES
    return Process(
        container_fields={
            "env": pods.environment(args),
            "mounts": mounts,
            "read_only_mounts": [_FILES],
            "command": list(args.get("command") or []),
            "args": list(args.get("arguments") or []),
        },
        writable=writable,
        files=files,
        annotations={"groundplan.dev/files": pods.checksum(files)} if files else {},
        user_id=int(args.get("user_id") or pods.USER_ID),
    )
