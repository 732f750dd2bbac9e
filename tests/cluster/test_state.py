import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundplan.cluster import ClusterConfig
from groundplan.cluster.state import State, write_atomically
from groundplan.errors import ClusterError


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    state = State("a", number=3, registry_port=5000, internet=True, workers=(1, 2))
    state.save(tmp_path / "state.json")
    assert State.load(tmp_path / "state.json") == state


def test_a_cluster_without_state_does_not_exist(tmp_path: Path) -> None:
    assert State.load(tmp_path / "state.json") is None


@pytest.mark.parametrize("text", ["", "{", '{"name": "a"}', "[]", '{"workers": [], "surprise": 1}'])
def test_a_damaged_state_is_an_error_that_names_the_file_and_the_way_out(tmp_path: Path, text: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(text)
    with pytest.raises(ClusterError, match="cluster down") as caught:
        State.load(path)
    assert caught.value.where == str(path)


def test_a_file_that_would_not_change_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    assert write_atomically(path, "one")
    before = path.stat()
    assert not write_atomically(path, "one")
    assert path.stat().st_ino == before.st_ino
    assert write_atomically(path, "two")


def test_written_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    write_atomically(tmp_path / "file", "secret")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], check=True)
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_is_an_error_that_names_the_file_and_keeps_what_was_there(tiny_disk: Path) -> None:
    write_atomically(tiny_disk / "file", "before")
    with pytest.raises(ClusterError, match=r"No space left on device.*Make room"):
        write_atomically(tiny_disk / "file", "x" * 2**20)
    assert (tiny_disk / "file").read_text() == "before"


@pytest.mark.parametrize("name", ["", "Upper", "1digit", "much-too-long", "under_score", "-start", "end-"])
def test_a_name_that_no_link_could_have_is_refused(name: str) -> None:
    with pytest.raises(ClusterError, match="name"):
        ClusterConfig(name)


@pytest.mark.parametrize("workers", [0, -1, 33])
def test_a_number_of_workers_out_of_range_is_refused(workers: int) -> None:
    with pytest.raises(ClusterError, match="between 1 and 32"):
        ClusterConfig("a", workers)
