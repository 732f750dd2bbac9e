"""One Pulumi stack on one cluster, driven through the Automation API."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pulumi.automation import CommandError, LocalWorkspace, Stack, StackNotFoundError
from pulumi.automation.errors import ConcurrentUpdateError

from groundplan.deploy.engine import Engine
from groundplan.deploy.events import Collector, Outcome, plain
from groundplan.deploy.recovery import end_orphans, pending_operations, stale_locks
from groundplan.deploy.settings import ADOPT, DeploySettings, engine_environment, working_copy
from groundplan.errors import DeployError
from groundplan.progress import QUIET, Progress

_SHOWN_ERRORS = 5


class Deployment:
    """A stack that can be previewed, brought up, read and taken down.

    Every method raises DeployError when the engine fails, and KeyboardInterrupt, once the engine has saved
    its state, when it was interrupted.
    """

    def __init__(self, settings: DeploySettings, progress: Progress = QUIET) -> None:
        """Raises DeployError when the project, the stack, the passphrase or the engine is missing."""
        self._settings = settings
        self._progress = progress
        folder = working_copy(settings)
        environment = engine_environment(settings)
        self._state_url = environment["PULUMI_BACKEND_URL"]
        if self._state_url.startswith("file://"):
            Path(self._state_url.removeprefix("file://")).expanduser().mkdir(parents=True, exist_ok=True)
        executable = shutil.which("pulumi", path=environment["PATH"])
        if not executable:
            raise DeployError(
                "The Pulumi engine is missing", "PATH", fix="Run: groundplan toolchain install pulumi"
            )
        version = subprocess.run(
            [executable, "version"], capture_output=True, text=True, check=True, env=environment
        )
        engine = Engine(Path(executable), version.stdout.strip().removeprefix("v"))
        self._workspace = LocalWorkspace(str(folder), env_vars=environment, pulumi_command=engine)
        self._cluster_record = folder / f"{settings.stack}.cluster"
        self._namespaces: set[str] = set()

    @property
    def name(self) -> str:
        """The stack's name."""
        return self._settings.stack

    def recover(self) -> list[str]:
        """Mend what a killed update left behind; returns what was done, as sentences.

        Locks of dead processes are removed, half-done operations are compared with the cluster, and state of
        a cluster that is gone is forgotten. Raises DeployError when another update is under way.
        """
        done = []
        stale = stale_locks(self._state_url, self.name)
        stack = self._stack()
        if stale:
            for lock in stale:
                end_orphans(lock)
            with self._errors("remove the lock of an update that was killed"):
                stack.cancel()
            dead = ", ".join(str(lock.pid) for lock in stale)
            done.append(f"Removed the state lock of an update that was killed (process {dead}).")
        if self._forget_lost_cluster():
            return [*done, "Forgot the state of an earlier cluster, which is gone with all that was on it."]
        with self._errors("read the state"):
            pending = pending_operations(stack.export_stack().deployment)
        if pending:
            with self._run("Compare the interrupted update with the cluster", "refresh") as collector:
                stack.refresh(clear_pending_creates=True, on_event=collector, color="never")
            # What was created but never recorded belongs to an earlier field manager of the engine's own.
            self._workspace.env_vars = {**self._workspace.env_vars, **ADOPT}
            done.append(f"Resolved what an interrupted update left half-done: {', '.join(pending)}.")
        return done

    def _forget_lost_cluster(self) -> bool:
        identity = self._settings.cluster_id
        if identity is None:
            return False
        known = self._cluster_record.read_text("utf-8") if self._cluster_record.exists() else identity
        if known != identity:
            self.forget()
            working_copy(self._settings)  # the stack's settings went with its state
            self._stack()
        self._cluster_record.write_text(identity, "utf-8")
        return known != identity

    def preview(self) -> Outcome:
        """What `up` would change and which rules it breaks; nothing is created.

        Violations don't raise: ask the outcome with `require_allowed`.
        """
        stack = self._stack()
        started = time.monotonic()
        collector = None
        try:
            with self._run(f"Preview of {self.name}", "preview") as collector:
                stack.preview(policy_packs=self._policy_packs(), on_event=collector, color="never")
        except DeployError:
            if collector is None or not any(found.mandatory for found in collector.violations):
                raise  # a refusal ends the engine's preview with an error too, and is told by its rules
        self._namespaces |= collector.namespaces
        return collector.outcome(time.monotonic() - started)

    def up(self, previewed: Outcome | None = None) -> Outcome:
        """Create, change and remove resources until the cluster matches the stack.

        previewed: the preview's outcome, which makes the progress honest. When resources never get ready, the
        error's notes tell the pods' reasons, events and last log lines.
        """
        stack = self._stack()
        started = time.monotonic()
        expected = sum(previewed.counts.values()) if previewed else None
        collector = None
        try:
            with self._run(f"Deploy {self.name}", "update", expected) as collector:
                stack.up(policy_packs=self._policy_packs(), on_event=collector, color="never")
        except DeployError as error:
            if collector:
                collector.outcome(0).require_allowed()
                self._explain(error, collector.namespaces | self._namespaces)
            raise
        return collector.outcome(time.monotonic() - started)

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs; empty before the first `up`. Secrets are among them."""
        with self._errors("read the outputs"):
            return {name: output.value for name, output in self._stack().outputs().items()}

    def destroy(self) -> Outcome | None:
        """Remove every resource and then the state; None when there was no such stack."""
        stack = self._existing()
        if stack is None:
            return None
        started = time.monotonic()
        with self._errors("read the state"):
            resources = (stack.export_stack().deployment or {}).get("resources") or []
        with self._run(f"Remove {self.name}", "removal", len(resources)) as collector:
            stack.destroy(on_event=collector, color="never", remove=True)
        self._cluster_record.unlink(missing_ok=True)
        return collector.outcome(time.monotonic() - started)

    def forget(self) -> None:
        """Remove the state alone, for a cluster that is gone with all that was on it."""
        if self._existing() is not None:
            with self._errors("forget the state"):
                self._workspace.remove_stack(self.name, force=True)
        self._cluster_record.unlink(missing_ok=True)

    def _policy_packs(self) -> list[str]:
        return [str(folder) for folder in self._settings.policy_packs]

    def _stack(self) -> Stack:
        with self._errors("open the state"):
            return self._existing() or Stack.create(self.name, self._workspace)

    def _existing(self) -> Stack | None:
        with self._errors("open the state"):
            try:
                return Stack.select(self.name, self._workspace)
            except StackNotFoundError:
                return None

    @contextmanager
    def _run(self, title: str, what: str, expected: int | None = None) -> Iterator[Collector]:
        with self._progress.step(title) as step:
            collector = Collector(step, expected)
            with self._errors(f"{what} failed", collector):
                yield collector

    @contextmanager
    def _errors(self, doing: str, collector: Collector | None = None) -> Iterator[None]:
        try:
            yield
        except ConcurrentUpdateError as error:
            raise DeployError(
                "Another update of the stack is under way",
                f"stack {self.name}",
                fix="Wait until it ends, then run this again.",
            ) from error
        except CommandError as error:
            raise self._failure(doing, error, collector) from error

    def _failure(self, doing: str, error: CommandError, collector: Collector | None) -> DeployError:
        told = [d for d in collector.diagnostics if d.severity == "error"] if collector else []
        lines = [f"{d.resource}: {d.message}" if d.resource else d.message for d in told]
        if not lines:
            lines = [line for line in plain(str(error)).splitlines() if line.strip().startswith("error:")]
        lines = lines or plain(str(error)).splitlines()[-_SHOWN_ERRORS:]
        what = f"The engine couldn't {doing}" if collector is None else f"The {doing}"
        failure = DeployError(
            what,
            f"stack {self.name}",
            fix="Mend the cause and run this again; what is done already stays.",
        )
        for line in dict.fromkeys(lines):
            failure.add_note(line)
        return failure

    def _explain(self, error: DeployError, namespaces: set[str]) -> None:
        """Add what the pods say to a failed update's error."""
        if self._settings.kubeconfig is None or not namespaces:
            return
        from groundplan.deploy.pods import why_not_ready  # noqa: PLC0415 - a second to import

        for reason in why_not_ready(self._settings.kubeconfig, self._settings.context, namespaces):
            error.add_note(reason)
