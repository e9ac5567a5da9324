"""The folder of a run: what lies where, and whether a run may begin in it."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from mlagents.errors import ResultsError
from mlagents.names import wrong_name, wrong_run_id
from mlagents.run.lastrows import FILE
from mlagents.run.settings import CheckpointSettings

log = logging.getLogger(__name__)

LOCK = ".lock"


class ResultsFolder:
    """`<results_dir>/<run_id>`; nothing is created before `create`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.logs = root / "run_logs"
        self.configuration = root / "configuration.yaml"
        self.status = self.logs / "training_status.json"
        self.timers = self.logs / "timers.json"
        self.evaluations = root / "evaluations.jsonl"
        self._lock = FileLock(root / LOCK)

    def check(self, settings: CheckpointSettings) -> None:
        """Raise ResultsError if a run cannot begin here under these settings."""
        if (wrong := wrong_run_id(settings.run_id)) is not None:
            raise ResultsError(f"--run-id {settings.run_id!r}: {wrong}")
        if self.root.exists() and not self.root.is_dir():
            raise ResultsError(f"{self.root} is a file; choose another --run-id")
        if settings.resume or settings.only_looks:
            if not self.root.exists():
                raise ResultsError(f"there is nothing to resume in {self.root}: the run '{self.root.name}' never was")
        elif not settings.force and self._holds_a_run():
            raise ResultsError(
                f"Previous data from this run ID was found in {self.root}. "
                "Go on with --resume, overwrite with --force, or choose another --run-id."
            )

    def _holds_a_run(self) -> bool:
        """A start that failed leaves the logs of the builds, which are no run."""
        files = (file for file in self.root.rglob("*") if file.is_file() and file.name != LOCK)
        return any(file.parent != self.logs or not file.match("Player-*.log") for file in files)

    def create(self) -> None:
        """Make the folders, and keep other runs out of them; raises ResultsError."""
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ResultsError(f"{self.root} cannot be created: {error.strerror}") from error
        self.lock()

    def lock(self) -> None:
        """Keep other runs out of the folder until `unlock`; the lock dies with its owner. Locking twice is fine.

        Raises ResultsError if another run is in the folder.
        """
        if self._lock.is_locked:
            return
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise ResultsError(
                f"another run is training in {self.root} at this moment; wait for its end, or choose another --run-id"
            ) from None
        except OSError as error:
            raise ResultsError(f"{self.root / LOCK} cannot be written: {error.strerror}") from error

    def unlock(self) -> None:
        """Let other runs in; leaves no file behind."""
        if self._lock.is_locked:
            with suppress(OSError):
                (self.root / LOCK).unlink(missing_ok=True)
            self._lock.release()

    def clear_parts(self) -> None:
        """Delete files that a run which was killed had not finished writing."""
        for folder in (self.root, self.logs):
            for part in sorted(folder.glob(".*.part")):
                log.info(f"Deleting {part}, which a run that was killed left behind.")
                part.unlink(missing_ok=True)

    def behavior(self, name: str) -> Path:
        """Return the folder of one behavior; raises ResultsError for a name that is no file name."""
        if (wrong := wrong_name(name)) is not None:
            raise ResultsError(f"the behavior name {name!r} cannot be a folder's name: {wrong}; rename it in Unity")
        return self.root / name

    def model(self, name: str) -> Path:
        """Return where a behavior's final model lies."""
        return self.root / f"{name}.onnx"

    def clear_old(self, name: str) -> None:
        """Delete the curves, and the rows with NaN, of the run that is overwritten: they are not of the new one."""
        (self.behavior(name) / FILE).unlink(missing_ok=True)
        for file in sorted(self.behavior(name).glob("events.out.tfevents.*")):
            log.warning(f"Deleting TensorBoard data {file} that was left over from a previous run.")
            file.unlink(missing_ok=True)
