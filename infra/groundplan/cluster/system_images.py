"""The images that the cluster itself runs: each a single static program."""

import json
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundplan.cluster import images
from groundplan.cluster.context import Context
from groundplan.cluster.state import write_atomically
from groundplan.errors import ClusterError


@dataclass(frozen=True)
class SystemImage:
    """How an image is made: the tool that it holds, and its settings."""

    tool: str
    path: str
    config: dict[str, Any]
    links: tuple[str, ...] = ()


SYSTEM_IMAGES = {
    "pause": SystemImage(
        "catatonit", "catatonit", {"Entrypoint": ["/catatonit", "-P"], "User": "65535:65535"}
    ),
    "coredns": SystemImage("coredns", "coredns", {"Entrypoint": ["/coredns"]}),
    "metrics-server": SystemImage("metrics-server", "metrics-server", {"Entrypoint": ["/metrics-server"]}),
    "busybox": SystemImage(
        "busybox",
        "bin/busybox",
        {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]},
        links=("sh", "mkdir", "rm"),
    ),
}


def references(context: Context) -> dict[str, str]:
    """Return how each system image is referred to, whether or not the registry has it yet.

    Packing is skipped for tools that have not changed since their image was last described.
    """
    record = context.paths.images / "system.json"
    known: dict[str, dict[str, str]] = json.loads(record.read_text()) if record.exists() else {}
    current = {}
    for name, image in SYSTEM_IMAGES.items():
        facts = context.tools[image.tool].stat()
        source = f"{facts.st_size} {facts.st_mtime_ns} {image}"
        if known.get(name, {}).get("source") != source:
            with tempfile.TemporaryFile() as layer:
                digest = images.pack(layer, name, _files(context, image), image.config).digest
            known[name] = {"source": source, "digest": digest}
        current[name] = known[name]
    write_atomically(record, json.dumps(current, indent=1))
    return {name: f"{context.registry}/{name}@{entry['digest']}" for name, entry in current.items()}


def push(context: Context, say: Callable[[str], None]) -> None:
    """Push the system images that the registry lacks."""
    for name, reference in references(context).items():
        if not images.is_stored(context.registry_on_bridge, name, reference.partition("@")[2]):
            say(name)
            image = SYSTEM_IMAGES[name]
            files = _files(context, image)
            images.push_scratch_image(context.registry_on_bridge, name, files, image.config)


def _files(context: Context, image: SystemImage) -> dict[str, Path | bytes | str]:
    files: dict[str, Path | bytes | str] = {image.path: context.tools[image.tool]}
    folder = str(Path(image.path).parent)
    return files | {f"{folder}/{link}": Path(image.path).name for link in image.links}


def static_busybox(folder: Path) -> Path:
    """Return a statically linked busybox, taken out of Debian's package without installing that.

    Raises ClusterError where apt can't give it.
    """
    path = folder / "bin" / "busybox"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        # apt drops to a user of its own, which has to reach the folder.
        Path(work).chmod(0o755)
        command = ["apt-get", "download", "-o", "APT::Sandbox::User=root", "busybox-static"]
        try:
            run = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
            packages = list(Path(work).glob("*.deb"))
            if run.returncode != 0 or not packages:
                raise ClusterError(
                    "the package with a static busybox can't be had",
                    where="apt-get download busybox-static",
                    value=run.stderr.strip(),
                    fix="Run `apt-get update` and try again",
                )
            subprocess.run(["dpkg-deb", "--extract", packages[0], f"{work}/content"], check=True)
        except FileNotFoundError as error:
            raise ClusterError(
                "a static busybox is needed to make volumes, and this machine has no apt to get it",
                where=str(path),
                fix="Put a statically linked busybox there",
            ) from error
        path.parent.mkdir(exist_ok=True)
        Path(work, "content", "bin", "busybox").replace(path)
    return path
