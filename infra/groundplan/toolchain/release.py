"""Downloads of official releases, verified by the checksum that their publisher puts beside them."""

import functools
import hashlib
import platform
import re
import shutil
import tarfile
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_exponential

from groundplan.errors import ToolchainError
from groundplan.progress import Step
from groundplan.toolchain.recipes import Recipe

_ARCHITECTURES = {"x86_64": ("amd64", "x64"), "aarch64": ("arm64", "arm64")}
_CONNECT_SECONDS = 4.0


def _fill(template: str, tool: str) -> str:
    arch, pulumi_arch = _ARCHITECTURES[platform.machine()]
    return template.format(arch=arch, pulumi_arch=pulumi_arch, tool=tool)


@functools.cache
def _reachable(origin: str) -> bool:
    """Tell, once a run, whether the host answers at all."""
    try:
        httpx.head(origin, timeout=_CONNECT_SECONDS)
    except httpx.HTTPError:
        return False
    return True


def download(recipe: Recipe, target: Path, work: Path, step: Step) -> bool:
    """Put the recipe's tools from its official release into `target`.

    Returns False where the release can't be had (no release named, the host is out of reach, the
    publisher has no such file): the next way is tried then. Raises ToolchainError when a file
    arrives whole but its checksum is wrong. Partial downloads in `work` are resumed.
    """
    release = recipe.release
    if release is None or platform.machine() not in _ARCHITECTURES:
        return False
    origin = "{0.scheme}://{0.netloc}/".format(urlsplit(release.url))
    if not _reachable(origin):
        return False
    per_tool = "{tool}" in release.url
    try:
        for tool in recipe.tools if per_tool else recipe.tools[:1]:
            url = _fill(release.url, tool)
            file = work / url.rsplit("/", 1)[1]
            expected = _checksum(_fill(release.checksum, tool), file.name)
            _fetch(url, file, step)
            _verify(file, expected, url)
            if per_tool:
                shutil.copyfile(file, target / tool)
            else:
                _unpack(file, {*recipe.tools, *recipe.helpers}, target)
            file.unlink()
    except httpx.HTTPError:
        return False
    for tool in recipe.tools:
        (target / tool).chmod(0o755)
    return True


def _checksum(url: str, name: str) -> str:
    answer = httpx.get(url, timeout=30, follow_redirects=True)
    answer.raise_for_status()
    for line in answer.text.splitlines():
        match = re.match(r"([0-9a-f]{64})(?:\s+\*?(?:\./)?(\S+))?\s*$", line)
        if match and match[2] in (None, name):
            return match[1]
    raise ToolchainError("the publisher's list of checksums lacks the file", where=url, value=name)


@retry(
    retry=retry_if_exception_type(httpx.TransportError),
    stop=stop_after_attempt(4),
    wait=wait_exponential(max=8),
    reraise=True,
)
def _fetch(url: str, file: Path, step: Step) -> None:
    """Download to `file`, going on from what is there."""
    partial = file.with_name(file.name + ".part")
    have = partial.stat().st_size if partial.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    with httpx.stream("GET", url, headers=headers, timeout=60, follow_redirects=True) as answer:
        if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            partial.rename(file)
            return
        answer.raise_for_status()
        if answer.status_code != httpx.codes.PARTIAL_CONTENT:
            have = 0
        total = have + int(answer.headers.get("Content-Length", 0))
        with partial.open("ab" if have else "wb") as sink:
            for chunk in answer.iter_bytes(1 << 20):
                sink.write(chunk)
                have += len(chunk)
                step.update(f"{have / 2**20:.0f} MiB of {file.name}", have / total if total >= have else None)
    partial.rename(file)


def _verify(file: Path, expected: str, url: str) -> None:
    with file.open("rb") as source:
        actual = hashlib.file_digest(source, "sha256").hexdigest()
    if actual != expected:
        file.unlink()
        raise ToolchainError(
            "the download is not what its publisher made",
            where=url,
            value=f"sha256 {actual}",
            bound=f"sha256 {expected}",
            fix="It was removed; run it again, and if this stays look for a proxy that changes downloads",
        )


def _unpack(archive: Path, wanted: set[str], target: Path) -> None:
    with tarfile.open(archive) as tar:
        for member in tar:
            name = Path(member.name).name
            if member.isfile() and name in wanted:
                source = tar.extractfile(member)
                assert source is not None
                with (target / name).open("wb") as sink:
                    shutil.copyfileobj(source, sink)
                (target / name).chmod(0o755)
