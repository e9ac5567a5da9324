"""The folder of a run: what lies where, and whether a run may begin in it."""

from __future__ import annotations

import logging
from pathlib import Path

from mlagents.run.errors import ResultsError
from mlagents.run.settings import CheckpointSettings

log = logging.getLogger(__name__)


class ResultsFolder:
    """`<results_dir>/<run_id>`; nothing is created before `create`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.logs = root / "run_logs"
        self.configuration = root / "configuration.yaml"
        self.status = self.logs / "training_status.json"
        self.timers = self.logs / "timers.json"

    def check(self, settings: CheckpointSettings) -> None:
        """Raise ResultsError if a run cannot begin here under these settings."""
        if self.root.exists() and not self.root.is_dir():
            raise ResultsError(f"{self.root} is a file; choose another --run-id")
        if settings.resume or settings.inference:
            if not self.root.exists():
                raise ResultsError(f"there is nothing to resume in {self.root}: the run '{self.root.name}' never was")
        elif not settings.force and self._holds_a_run():
            raise ResultsError(
                f"Previous data from this run ID was found in {self.root}. "
                "Go on with --resume, overwrite with --force, or choose another --run-id."
            )

    def _holds_a_run(self) -> bool:
        """A start that failed leaves what the builds had to say, and that is no run."""
        files = (file for file in self.root.rglob("*") if file.is_file())
        return any(file.parent != self.logs or not file.match("Player-*.log") for file in files)

    def create(self) -> None:
        """Make the folders."""
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ResultsError(f"{self.root} cannot be created: {error.strerror}") from error

    def behavior(self, name: str) -> Path:
        """Return the folder of one behavior; raises ResultsError for a name that is no file name."""
        if not name or name in (".", "..") or any(letter in name for letter in '/\\:*?"<>|'):
            raise ResultsError(f"the behavior name '{name}' cannot be a folder's name; rename it in Unity")
        return self.root / name

    def model(self, name: str) -> Path:
        """Return where a behavior's final model lies."""
        return self.root / f"{name}.onnx"

    def clear_events(self, name: str) -> None:
        """Delete the curves of the run that is overwritten, so that they do not mix with the new one's."""
        for file in sorted(self.behavior(name).glob("events.out.tfevents.*")):
            log.warning(f"Deleting TensorBoard data {file} that was left over from a previous run.")
            file.unlink(missing_ok=True)
