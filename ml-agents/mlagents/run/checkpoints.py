"""The checkpoints of one behavior: written whole or not at all, the oldest deleted, the last exported as its model."""

from __future__ import annotations

import logging
import pickle
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from mlagents.run.atomic import write_atomically
from mlagents.run.errors import CheckpointError
from mlagents.run.results import ResultsFolder
from mlagents.run.status import Status

State = dict[str, Any]
log = logging.getLogger(__name__)


class Checkpoints:
    """Files `<behavior>/<behavior>-<step>.pt` and `.onnx`, and `checkpoint.pt`, which is the newest."""

    def __init__(self, results: ResultsFolder, behavior: str, status: Status, *, keep: int) -> None:
        self.results = results
        self.behavior = behavior
        self.status = status
        self.keep = keep  # 0 or less keeps all
        self.folder = results.behavior(behavior)
        self.newest = self.folder / "checkpoint.pt"

    @property
    def entries(self) -> list[dict[str, Any]]:
        """What `training_status.json` says of each checkpoint, oldest first."""
        return list(self.status.get(self.behavior, "checkpoints", []))

    def save(self, step: int, state: State, *, reward: float | None, export: Callable[[Path], None]) -> Path:
        """Write a checkpoint and its model, and return the model's path; raises CheckpointError if it cannot."""
        model = self.folder / f"{self.behavior}-{step}.onnx"
        weights = model.with_suffix(".pt")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(weights, lambda file: torch.save(state, file))
            write_atomically(self.newest, lambda file: torch.save(state, file))
            export(model)
            self._note(step, model, weights, reward)
        except (OSError, RuntimeError) as error:  # torch says RuntimeError when the disk is full
            raise CheckpointError(
                f"the checkpoint of {self.behavior} at step {step} could not be written to {self.folder}: {error}. "
                "The one before it is untouched."
            ) from error
        log.info(f"Exported {model}")
        return model

    def finish(self) -> Path | None:
        """Make the last checkpoint's model the run's result, and return its path; None without a checkpoint."""
        entries = self.entries
        if not entries:
            return None
        last, final = entries[-1], self.results.model(self.behavior)
        with open(last["file_path"], "rb") as model:
            write_atomically(final, lambda file: shutil.copyfileobj(model, file))
        self.status.set(self.behavior, final_checkpoint={**last, "file_path": str(final)})
        log.info(f"Copied {last['file_path']} to {final}.")
        return final

    def _note(self, step: int, model: Path, weights: Path, reward: float | None) -> None:
        entry = {
            "steps": step,
            "file_path": str(model),
            "reward": reward,
            "creation_time": time.time(),
            "auxillary_file_paths": [str(weights)],  # the format's own spelling
        }
        entries = [old for old in self.entries if old["steps"] != step] + [entry]
        while 0 < self.keep < len(entries):
            for name in ((gone := entries.pop(0))["file_path"], *gone["auxillary_file_paths"]):
                Path(name).unlink(missing_ok=True)
        self.status.set(self.behavior, checkpoints=entries)


def load_checkpoint(path: Path) -> State:
    """Return what a checkpoint holds; raises CheckpointError if it is missing, broken, or no checkpoint."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(
            f"{path} is not there: the run ended before its first checkpoint, or the behavior has another name. "
            "Begin anew with --force."
        ) from None
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        reason = str(error).split("\n")[0]
        raise CheckpointError(f"{path} cannot be read as a checkpoint: {reason}") from error
    if not isinstance(state, dict) or "Policy" not in state or "global_step" not in state:
        raise CheckpointError(f"{path} is no checkpoint of a policy")
    return state
