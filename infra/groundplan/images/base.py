"""The base image: the smallest Debian that has apt, made from packages."""

import hashlib
import json
import os
import subprocess
import tempfile
from pathlib import Path

import httpx
from filelock import FileLock

from groundplan.cluster.images import push_rootfs_image
from groundplan.errors import ClusterError
from groundplan.progress import QUIET, Progress
from groundplan.toolchain import ensure, home

SUITE = "bookworm"
_OPTIONS = (
    "--variant=apt",
    "--include=ca-certificates,catatonit",
    '--aptopt=APT::Install-Recommends "false"',
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
    # These would carry facts about this machine into the image.
    '--customize-hook=rm -f "$1/etc/resolv.conf" "$1/etc/hostname"',
)
# Times in the image are fixed, so that the same packages give the same digest.
_EPOCH = "1735689600"


def ensure_base(registry: str, progress: Progress = QUIET) -> str:
    """Return the reference, with digest, of the base image in this registry, making it where it is missing.

    registry: host and port. Raises ClusterError when the packages can't be had.
    """
    recipe = hashlib.sha256(json.dumps([SUITE, _OPTIONS, _EPOCH]).encode()).hexdigest()
    record = home() / "images" / "base.json"
    record.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(record.with_suffix(".lock")):
        known = _recorded(record, recipe)
        if known and _stored(registry, known):
            return f"{registry}/{known}"
        tools = ensure("mmdebstrap", progress=progress)
        with (
            progress.step(f"Making the base image from Debian {SUITE} packages (about a minute)") as step,
            tempfile.TemporaryDirectory(dir=home() / "images") as folder,
        ):
            rootfs = Path(folder) / "rootfs.tar"
            _bootstrap(tools["mmdebstrap"], rootfs)
            step.update("pushing it to the registry")
            reference = push_rootfs_image(registry, "debian", rootfs, {"Env": ["LANG=C.UTF-8"]})
        record.write_text(json.dumps({"recipe": recipe, "image": reference.removeprefix(f"{registry}/")}))
        return reference


def _recorded(record: Path, recipe: str) -> str | None:
    try:
        known = json.loads(record.read_text())
    except (OSError, ValueError):
        return None
    return str(known["image"]) if known["recipe"] == recipe else None


def _stored(registry: str, image: str) -> bool:
    name, digest = image.split("@")
    accept = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    answer = httpx.head(f"http://{registry}/v2/{name}/manifests/{digest}", headers=accept, trust_env=False)
    return answer.is_success


def _bootstrap(mmdebstrap: Path, target: Path) -> None:
    run = subprocess.run(
        [mmdebstrap, "--quiet", *_OPTIONS, SUITE, target],
        env={**os.environ, "SOURCE_DATE_EPOCH": _EPOCH},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        raise ClusterError(
            f"the base image could not be made: {run.stderr.strip()[-800:]}",
            where="mmdebstrap",
            fix="Mend the machine's package sources or make room on its disk, and run it again",
        )
