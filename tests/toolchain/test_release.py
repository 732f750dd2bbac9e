"""Downloads of official releases, from a publisher on loopback."""

import io
import tarfile
from pathlib import Path

import pytest

from groundplan.errors import ToolchainError
from groundplan.progress import QUIET
from groundplan.toolchain import release
from groundplan.toolchain.recipes import Recipe, Release

from .conftest import sha256


def recipe(url: str, checksum: str) -> Recipe:
    return Recipe(name="tool", version="1", tools=("tool",), release=Release(url=url, checksum=checksum))


def obtain(wanted: Recipe, tmp_path: Path) -> tuple[bool, Path]:
    target, work = tmp_path / "target", tmp_path / "work"
    target.mkdir(exist_ok=True)
    work.mkdir(exist_ok=True)
    with QUIET.step("test") as step:
        return release.download(wanted, target, work, step), target


def test_a_plain_release_is_downloaded_and_verified(
    publisher: tuple[str, Path, list[str]], tmp_path: Path
) -> None:
    address, folder, _ = publisher
    (folder / "tool").write_bytes(b"binary")
    (folder / "tool.sha256").write_text(sha256(b"binary"))
    done, target = obtain(recipe(f"{address}/{{tool}}", f"{address}/{{tool}}.sha256"), tmp_path)
    assert done
    assert (target / "tool").read_bytes() == b"binary"
    assert (target / "tool").stat().st_mode & 0o111


def test_tools_are_taken_out_of_an_archive_wherever_they_lie_in_it(
    publisher: tuple[str, Path, list[str]], tmp_path: Path
) -> None:
    address, folder, _ = publisher
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name in ("tool-v1/README.md", "tool-v1/bin/tool"):
            info = tarfile.TarInfo(name)
            info.size = 4
            tar.addfile(info, io.BytesIO(b"\x7fELF"))
    (folder / "tool.tar.gz").write_bytes(archive.getvalue())
    (folder / "SHA256SUMS").write_text(f"{'0' * 64}  other\n{sha256(archive.getvalue())}  tool.tar.gz\n")
    done, target = obtain(recipe(f"{address}/tool.tar.gz", f"{address}/SHA256SUMS"), tmp_path)
    assert done
    assert [path.name for path in target.iterdir()] == ["tool"]


def test_a_changed_download_is_refused_and_removed(
    publisher: tuple[str, Path, list[str]], tmp_path: Path
) -> None:
    address, folder, _ = publisher
    (folder / "tool").write_bytes(b"tampered")
    (folder / "tool.sha256").write_text(sha256(b"binary"))
    with pytest.raises(ToolchainError, match="not what its publisher made") as caught:
        obtain(recipe(f"{address}/{{tool}}", f"{address}/{{tool}}.sha256"), tmp_path)
    assert sha256(b"tampered") in str(caught.value)
    assert not (tmp_path / "work" / "tool").exists()


def test_an_interrupted_download_goes_on_where_it_stopped(
    publisher: tuple[str, Path, list[str]], tmp_path: Path
) -> None:
    address, folder, ranges = publisher
    (folder / "tool").write_bytes(b"first half, second half")
    (folder / "tool.sha256").write_text(sha256(b"first half, second half"))
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "tool.part").write_bytes(b"first half, ")
    done, target = obtain(recipe(f"{address}/{{tool}}", f"{address}/{{tool}}.sha256"), tmp_path)
    assert done
    assert ranges == ["bytes=12-"]
    assert (target / "tool").read_bytes() == b"first half, second half"


def test_a_release_that_does_not_exist_leaves_the_way_free_for_a_build(
    publisher: tuple[str, Path, list[str]], tmp_path: Path
) -> None:
    address, _, _ = publisher
    done, _ = obtain(recipe(f"{address}/absent", f"{address}/absent.sha256"), tmp_path)
    assert not done


def test_a_host_out_of_reach_leaves_the_way_free_for_a_build(tmp_path: Path) -> None:
    done, _ = obtain(recipe("http://127.0.0.1:1/tool", "http://127.0.0.1:1/tool.sha256"), tmp_path)
    assert not done
