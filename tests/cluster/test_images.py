import io
import tarfile
from pathlib import Path

import pytest

from groundplan.cluster import images
from groundplan.cluster.images import pack, push_scratch_image
from groundplan.errors import ClusterError


def _program(folder: Path, text: str) -> Path:
    path = folder / "program"
    path.write_text(text)
    return path


def test_the_same_contents_give_the_same_digest_whenever_and_wherever_they_lie(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = pack(io.BytesIO(), "x", {"bin/program": _program(tmp_path / "a", "1")}, {"User": "1"})
    second = pack(io.BytesIO(), "x", {"bin/program": _program(tmp_path / "b", "1")}, {"User": "1"})
    assert first.digest == second.digest


def test_other_contents_or_settings_give_another_digest(tmp_path: Path) -> None:
    digests = {
        pack(io.BytesIO(), "x", {"program": _program(tmp_path, text)}, {"User": user}).digest
        for text, user in (("1", "1"), ("2", "1"), ("1", "2"))
    }
    assert len(digests) == 3


def test_a_layer_holds_programs_files_links_and_their_folders(tmp_path: Path) -> None:
    layer = io.BytesIO()
    files: dict[str, Path | bytes | str] = {
        "bin/program": _program(tmp_path, "run"),
        "etc/file": b"text",
        "bin/link": "program",
    }
    pack(layer, "x", files, {})
    layer.seek(0)
    with tarfile.open(fileobj=layer) as tar:
        entries = {entry.name: entry for entry in tar}
    assert list(entries) == ["bin", "bin/link", "bin/program", "etc", "etc/file"]
    assert entries["bin"].isdir()
    assert entries["bin/link"].linkname == "program"
    assert (entries["bin/program"].mode, entries["etc/file"].mode) == (0o755, 0o644)


def test_a_reference_names_the_registry_and_the_digest() -> None:
    image = images.describe(io.BytesIO(b""), "shop/web", {})
    assert image.reference("localhost:5000") == f"localhost:5000/shop/web@{image.digest}"


def test_a_registry_that_does_not_answer_is_an_error_that_names_it() -> None:
    with pytest.raises(ClusterError, match=r"127\.0\.0\.1:9"):
        push_scratch_image("127.0.0.1:9", "x", {"file": b""}, {})
