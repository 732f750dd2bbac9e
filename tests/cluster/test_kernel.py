from pathlib import Path

import pytest

from groundplan.cluster import ClusterConfig, kernel
from groundplan.cluster.context import Context
from groundplan.cluster.state import State


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree like /proc/sys, and a home of its own."""
    root = tmp_path / "sys"
    values = dict.fromkeys(kernel.SET_BY_KUBELET, "0") | dict.fromkeys(kernel.LEAST, "128")
    for name in ("gp-one", "gp-two", "eth7"):
        values[f"net/ipv4/conf/{name}/forwarding"] = "0"
    for name, value in values.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(value)
    monkeypatch.setattr(kernel, "_ROOT", root)
    monkeypatch.setattr(kernel, "uplinks", lambda: ["eth7"])
    monkeypatch.setenv("GROUNDPLAN_HOME", str(tmp_path / "home"))
    return root


def _cluster(name: str, number: int, *, internet: bool = True) -> Context:
    state = State(name, number, registry_port=5000, internet=internet, workers=(1,))
    context = Context(ClusterConfig(name), state)
    state.save(context.paths.state)
    return context


def test_the_last_cluster_to_go_restores_what_the_first_one_found(settings: Path) -> None:
    one, two = _cluster("one", 0), _cluster("two", 1)
    kernel.prepare(one)
    (settings / "kernel/panic").write_text("10")  # as a kubelet does
    kernel.prepare(two)
    one.paths.state.unlink()
    kernel.restore(one)
    assert (settings / "kernel/panic").read_text() == "10"
    assert (settings / "net/ipv4/conf/eth7/forwarding").read_text() == "1"
    two.paths.state.unlink()
    kernel.restore(two)
    assert (settings / "kernel/panic").read_text() == "0"
    assert (settings / "net/ipv4/conf/eth7/forwarding").read_text() == "0"
    assert (settings / "fs/inotify/max_user_instances").read_text() == "128"


def test_a_cluster_without_internet_leaves_forwarding_alone(settings: Path) -> None:
    kernel.prepare(_cluster("one", 0, internet=False))
    assert (settings / "net/ipv4/conf/eth7/forwarding").read_text() == "0"
    assert (settings / "net/ipv4/conf/gp-one/forwarding").read_text() == "0"


def test_a_setting_that_is_high_enough_is_not_lowered(settings: Path) -> None:
    (settings / "fs/inotify/max_user_instances").write_text("8192")
    kernel.prepare(_cluster("one", 0))
    assert (settings / "fs/inotify/max_user_instances").read_text() == "8192"
