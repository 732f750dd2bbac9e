import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from groundplan.deploy.exclusive import exclusive
from groundplan.errors import DeployError

HOLDER = """
import sys, time
from pathlib import Path
from groundplan.deploy.exclusive import exclusive
with exclusive(Path(sys.argv[1]), "groundplan up shop"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_one_is_told_who_is_at_work_and_a_killed_one_holds_nothing(tmp_path: Path) -> None:
    file = tmp_path / "state" / "shop.lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, file], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    told = f"at work here: groundplan up shop, process {holder.pid}"
    with pytest.raises(DeployError, match=told), exclusive(file, "groundplan down shop"):
        pytest.fail("two at once")
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with exclusive(file, "groundplan down shop"):
        assert f"process {os.getpid()}" in file.with_suffix(".owner").read_text()
    assert not file.with_suffix(".owner").exists()


def test_it_is_free_again_after_a_failure(tmp_path: Path) -> None:
    file = tmp_path / "shop.lock"
    with pytest.raises(ZeroDivisionError), exclusive(file, "one"):
        _ = 1 / 0
    started = time.monotonic()
    with exclusive(file, "two"):
        assert time.monotonic() - started < 1
