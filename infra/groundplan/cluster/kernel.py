"""Kernel settings that clusters change for the whole machine: recorded first, restored by the last `down`."""

import json
from pathlib import Path

from groundplan.cluster.context import Context
from groundplan.cluster.network import uplinks
from groundplan.cluster.state import write_atomically

_ROOT = Path("/proc/sys")
# Every kubelet and containerd watches many files; the usual 128 watchers don't go far with several.
LEAST = {"fs/inotify/max_user_instances": 1024, "fs/inotify/max_user_watches": 524288}
# A kubelet sets these itself when it starts.
SET_BY_KUBELET = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)


def read(name: str) -> str:
    return (_ROOT / name).read_text().strip()


def prepare(context: Context) -> None:
    """Record the machine's own values, and set what the cluster needs."""
    forwarding = [f"net/ipv4/conf/{link}/forwarding" for link in uplinks()] if context.state.internet else []
    record = _record(context)
    known: dict[str, str] = json.loads(record.read_text()) if record.exists() else {}
    for name in (*LEAST, *SET_BY_KUBELET, *forwarding):
        known.setdefault(name, read(name))
    write_atomically(record, json.dumps(known, indent=1))
    for name, least in LEAST.items():
        if int(read(name)) < least:
            (_ROOT / name).write_text(str(least))
    for name in forwarding:
        (_ROOT / name).write_text("1")
    bridge = _ROOT / "net/ipv4/conf" / context.bridge / "forwarding"
    bridge.write_text("1" if context.state.internet else "0")


def restore(context: Context) -> None:
    """Set everything back to the recorded values, unless another cluster still needs it."""
    others = [path for path in context.paths.clusters.glob("*/state.json") if path != context.paths.state]
    record = _record(context)
    if others or not record.exists():
        return
    for name, value in json.loads(record.read_text()).items():
        if (_ROOT / name).exists():  # a link may have gone meanwhile
            (_ROOT / name).write_text(value)
    record.unlink()


def _record(context: Context) -> Path:
    return context.paths.clusters / "kernel.json"
