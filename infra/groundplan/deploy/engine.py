"""The engine as a process that can be interrupted without losing state."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO

from pulumi.automation import CommandResult, PulumiCommand
from pulumi.automation._cmd import OnOutput
from pulumi.automation.errors import create_command_error
from semver import VersionInfo


class Engine(PulumiCommand):
    """Runs the engine in a session of its own and passes interrupts on.

    The Automation API's own command leaves the engine behind, still at work, when its caller is interrupted.
    Here the engine alone gets the signal, finishes what is under way, saves its state and releases its lock;
    a second interrupt makes it stop at once.
    """

    def __init__(self, executable: Path, version: str) -> None:  # the base class would run it to ask
        self.command = str(executable)
        self.version = VersionInfo.parse(version)

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: OnOutput | None = None,
        on_error: OnOutput | None = None,
    ) -> CommandResult:
        """Run one command to its end.

        Raises the API's CommandError when it fails, KeyboardInterrupt when it ended after an interrupt.
        """
        process = subprocess.Popen(
            [self.command, "--non-interactive", *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env={**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true"},
            encoding="utf-8",
            start_new_session=True,
        )
        assert process.stdout
        assert process.stderr
        output: list[str] = []
        errors: list[str] = []
        readers = [
            threading.Thread(target=_read, args=(process.stdout, on_output, output)),
            threading.Thread(target=_read, args=(process.stderr, on_error, errors)),
        ]
        with _interrupts_passed_to(process) as interrupts:
            for reader in readers:
                reader.start()
            process.wait()
        for reader in readers:
            reader.join()
        if interrupts:
            raise KeyboardInterrupt
        result = CommandResult("\n".join(output), "\n".join(errors), process.returncode)
        if process.returncode != 0:
            raise create_command_error(result)
        return result


def _read(stream: IO[str], callback: OnOutput | None, lines: list[str]) -> None:
    for line in stream:
        lines.append(line.rstrip())
        if callback:
            callback(lines[-1])
    stream.close()


@contextmanager
def _interrupts_passed_to(process: subprocess.Popen[str]) -> Iterator[list[int]]:
    """Collect interrupts of this process and send each on; only the main thread may do that."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def forward(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        process.send_signal(signal.SIGINT)

    before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
