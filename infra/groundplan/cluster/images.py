"""Images made here and pushed to the cluster's registry: a binary alone, or a root file system.

What is pushed is decided by the contents alone: the same files give the same digest, and nothing that is
already there is sent again. Format: OCI image manifest 1.1; protocol: OCI distribution specification 1.1.
"""

import hashlib
import io
import json
import platform
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urljoin

import httpx

from groundplan.errors import ClusterError

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
# Not compressed: the registry is on this machine, so packing would only cost time.
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_CHUNK_BYTES = 2**20
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Image:
    """An image that is made up but not yet sent anywhere."""

    name: str
    manifest: bytes
    config: bytes
    layer_digest: str

    @property
    def digest(self) -> str:
        return _digest(self.manifest)

    def reference(self, registry: str) -> str:
        """Return how a pod names this image."""
        return f"{registry}/{self.name}@{self.digest}"


def push_scratch_image(
    registry: str, name: str, files: Mapping[str, Path | bytes | str], config: Mapping[str, Any]
) -> str:
    """Push an image that holds just these files and return its reference with digest.

    registry: host and port. files: path in the image to a file (a Path, executable for all), contents
    (bytes, readable for all), or the target of a symbolic link (str). config: the image's own settings
    in OCI words, such as {"Entrypoint": [...], "User": "65534"}.
    Raises ClusterError when the registry can't be reached or refuses.
    """
    with tempfile.TemporaryFile() as layer:
        image = pack(layer, name, files, config)
        push(registry, image, layer)
    return image.reference(registry)


def push_rootfs_image(registry: str, name: str, tar_path: Path, config: Mapping[str, Any]) -> str:
    """Push an image whose only layer is an uncompressed tar file and return its reference with digest.

    Parameters and errors are those of push_scratch_image.
    """
    with tar_path.open("rb") as layer:
        image = describe(layer, name, config)
        push(registry, image, layer)
    return image.reference(registry)


def pack(
    layer: BinaryIO, name: str, files: Mapping[str, Path | bytes | str], config: Mapping[str, Any]
) -> Image:
    """Write the files as a layer, the same for the same contents, and describe the image."""
    folders: set[str] = set()
    with tarfile.open(fileobj=layer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path, source in sorted(files.items()):
            parts = path.strip("/").split("/")
            for depth in range(1, len(parts)):
                folder = "/".join(parts[:depth])
                if folder not in folders:
                    folders.add(folder)
                    tar.addfile(_entry(folder, tarfile.DIRTYPE, 0o755))
            entry = _entry("/".join(parts), tarfile.REGTYPE, 0o755)
            if isinstance(source, Path):
                entry.size = source.stat().st_size
                with source.open("rb") as data:
                    tar.addfile(entry, data)
            elif isinstance(source, bytes):
                entry.size, entry.mode = len(source), 0o644
                tar.addfile(entry, io.BytesIO(source))
            else:
                entry.type, entry.linkname = tarfile.SYMTYPE, source
                tar.addfile(entry)
    return describe(layer, name, config)


def describe(layer: BinaryIO, name: str, config: Mapping[str, Any]) -> Image:
    """Make the manifest of an image whose only layer is this tar file."""
    layer.seek(0)
    layer_digest = "sha256:" + hashlib.file_digest(layer, "sha256").hexdigest()  # type: ignore[arg-type]
    size = layer.seek(0, io.SEEK_END)
    machine = platform.machine()
    image_config = _json(
        {
            "architecture": _ARCHITECTURES.get(machine, machine),
            "os": "linux",
            "config": dict(config),
            "rootfs": {"type": "layers", "diff_ids": [layer_digest]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": {"mediaType": _CONFIG, "digest": _digest(image_config), "size": len(image_config)},
            "layers": [{"mediaType": _LAYER, "digest": layer_digest, "size": size}],
        }
    )
    return Image(name, manifest, image_config, layer_digest)


def is_stored(registry: str, name: str, digest: str) -> bool:
    """Tell whether the registry has the image of this name and digest."""
    with _client(registry) as client:
        return _has(client, f"/v2/{name}/manifests/{digest}")


def push(registry: str, image: Image, layer: BinaryIO) -> None:
    """Send what the registry lacks of an image; the manifest goes last."""
    with _client(registry) as client:
        if _has(client, f"/v2/{image.name}/manifests/{image.digest}"):
            return
        if not _has(client, f"/v2/{image.name}/blobs/{image.layer_digest}"):
            layer.seek(0)
            _upload(client, image.name, image.layer_digest, layer)
        _upload(client, image.name, _digest(image.config), io.BytesIO(image.config))
        for tag in (image.digest, "latest"):
            answer = client.put(
                f"/v2/{image.name}/manifests/{tag}",
                content=image.manifest,
                headers={"Content-Type": _MANIFEST},
            )
            _require(answer, 201)


def _client(registry: str) -> httpx.Client:
    transport = httpx.HTTPTransport(retries=2)
    return httpx.Client(base_url=f"http://{registry}", timeout=60, transport=transport, trust_env=False)


def _has(client: httpx.Client, path: str) -> bool:
    try:
        answer = client.head(path, headers={"Accept": _MANIFEST})
    except httpx.HTTPError as error:
        raise _unreachable(client, error) from error
    return answer.status_code == 200


def _upload(client: httpx.Client, name: str, digest: str, source: BinaryIO) -> None:
    def chunks() -> Iterator[bytes]:
        while chunk := source.read(_CHUNK_BYTES):
            yield chunk

    try:
        started = _require(client.post(f"/v2/{name}/blobs/uploads/"), 202)
        location = httpx.URL(urljoin(str(started.url), started.headers["Location"]))
        _require(client.put(location.copy_merge_params({"digest": digest}), content=chunks()), 201)
    except httpx.HTTPError as error:
        raise _unreachable(client, error) from error


def _require(answer: httpx.Response, status: int) -> httpx.Response:
    if answer.status_code != status:
        raise ClusterError(
            "the image registry refused",
            where=f"{answer.request.method} {answer.request.url}",
            value=f"{answer.status_code} {answer.text.strip()}",
            fix="Look at `groundplan cluster logs registry`; a full disk is the most common reason",
        )
    return answer


def _unreachable(client: httpx.Client, error: httpx.HTTPError) -> ClusterError:
    return ClusterError(
        "the image registry can't be reached",
        where=str(client.base_url),
        value=str(error),
        fix="Look at `groundplan cluster status` and `groundplan cluster logs registry`",
    )


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, mode
    return entry


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
