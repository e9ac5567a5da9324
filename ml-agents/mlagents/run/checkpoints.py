"""The checkpoints of one behavior: written whole or not at all, the oldest deleted, the last exported as its model."""

from __future__ import annotations

import logging
import re
import shutil
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from mlagents.data.finite import non_finite
from mlagents.errors import CheckpointError, NonFiniteError
from mlagents.run.atomic import write_atomically
from mlagents.run.results import ResultsFolder
from mlagents.run.status import Status

State = dict[str, Any]
log = logging.getLogger(__name__)


class Checkpoints:
    """Files `<behavior>/<behavior>-<step>.pt` and `.onnx`, and `checkpoint.pt`, which is the newest.

    The status file says which of them there are. Paths in it are never followed: a run may have been copied or moved,
    so a checkpoint is looked for, and deleted, by its name in this run's own folder.
    """

    def __init__(self, results: ResultsFolder, behavior: str, status: Status, *, keep: int) -> None:
        self.results = results
        self.behavior = behavior
        self.status = status
        self.keep = keep  # 0 or less keeps all
        self.folder = results.behavior(behavior)
        self.newest = self.folder / "checkpoint.pt"
        self.best = self.folder / "best.pt"  # that with the best evaluation; no rule of `keep` deletes it

    @property
    def entries(self) -> list[dict[str, Any]]:
        """What `training_status.json` says of each checkpoint, oldest first."""
        return list(self.status.get(self.behavior, "checkpoints", []))

    def save(self, step: int, state: State, *, reward: float | None, export: Callable[[Path], None] | None) -> Path:
        """Write a checkpoint and its model, and return the model's path.

        Raises CheckpointError if it cannot be written, NonFiniteError if it holds numbers that are not finite; the
        checkpoint before it then stays the newest.
        """
        if (place := non_finite(state)) is not None:
            raise NonFiniteError(
                f"{self.behavior}: {place} at step {step}, so no checkpoint is written. {self.last_good()}"
            )
        model = self.model_of(step)
        weights = model.with_suffix(".pt")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(weights, lambda file: torch.save(state, file))
            write_atomically(self.newest, lambda file: torch.save(state, file))
            if export is None:
                model = weights
            else:
                export(model)
            self._note(step, model, weights, reward)
        except (OSError, RuntimeError) as error:  # torch says RuntimeError when the disk is full
            raise CheckpointError(
                f"the checkpoint of {self.behavior} at step {step} could not be written to {self.folder}: {error}. "
                "The one before it is untouched."
            ) from error
        log.info(f"Exported {model}" if export is not None else f"Saved {weights}")
        return model

    def save_best(self, state: State, export: Callable[[Path], None] | None) -> None:
        """Write `best.onnx` and `best.pt` in the place of those before.

        Raises CheckpointError if they cannot be written, NonFiniteError if the state holds numbers that are not finite.
        """
        if (place := non_finite(state)) is not None:
            raise NonFiniteError(f"{self.behavior}: {place}, so it is not kept as {self.best}")
        try:
            if export is not None:
                export(self.best.with_suffix(".onnx"))
            write_atomically(self.best, lambda file: torch.save(state, file))
        except (OSError, RuntimeError) as error:
            raise CheckpointError(f"{self.best} could not be written: {error}") from error

    def delete_best(self) -> None:
        """Delete what was best in a run that is overwritten."""
        for file in (self.best, self.best.with_suffix(".onnx")):
            file.unlink(missing_ok=True)

    def model_of(self, step: int) -> Path:
        """Return where the model of the checkpoint of this step lies; the weights lie beside it, as `.pt`."""
        return self.folder / f"{self.behavior}-{step}.onnx"

    def holds(self, step: int) -> bool:
        """Is there a checkpoint of this step, with all its files?"""
        entry = next((entry for entry in self.entries if entry["steps"] == step), None)
        if entry is None:
            return False
        files = [self.own(name) for name in (entry["file_path"], *entry["auxillary_file_paths"])]
        return all(file is not None and file.is_file() for file in (*files, self.newest))

    def finish(self) -> Path | None:
        """Make the last checkpoint's model the run's result, and return its path; None without a checkpoint.

        Raises CheckpointError if it cannot be copied.
        """
        entries = self.entries
        if not entries:
            return None
        last, final = entries[-1], self.results.model(self.behavior)
        model = self.own(last["file_path"])
        if model is None or model.suffix == ".pt":  # of a policy that is not exported
            return None
        try:
            with open(model, "rb") as source:
                write_atomically(final, lambda file: shutil.copyfileobj(source, file))
            self.status.set(self.behavior, final_checkpoint={**last, "file_path": str(final)})
        except OSError as error:
            raise CheckpointError(f"{model} could not be copied to {final}: {error}") from error
        log.info(f"Copied {model} to {final}.")
        return final

    def own(self, path: str) -> Path | None:
        """Return the checkpoint of this run that has the name of `path`, which any system may have written.

        None if the name is not that of a checkpoint.
        """
        name = re.split(r"[/\\]", path)[-1]
        pattern = rf"{re.escape(self.behavior)}-\d+\.(onnx|pt)"
        return self.folder / name if re.fullmatch(pattern, name) else None

    def clear_leftovers(self) -> None:
        """Delete what a run that was killed left half done: `.part` files, and checkpoints that no list names."""
        listed = {
            own for entry in self.entries for name in (entry["file_path"], *entry["auxillary_file_paths"])
            if (own := self.own(name)) is not None
        }  # fmt: skip
        if not listed:  # nobody knows what is left over
            return
        newest = max(entry["steps"] for entry in self.entries)
        for file in sorted(self.folder.glob("*")):
            own = self.own(file.name)
            unlisted = own is not None and own not in listed and int(file.stem.rpartition("-")[2]) > newest
            if unlisted or (file.name.startswith(".") and file.suffix == ".part"):
                log.info(f"Deleting {file}, which a run that was killed left behind.")
                file.unlink(missing_ok=True)

    def _note(self, step: int, model: Path, weights: Path, reward: float | None) -> None:
        entry = {
            "steps": step,
            "file_path": str(model),
            "reward": reward,
            "creation_time": time.time(),
            "auxillary_file_paths": [str(weights)],  # the format's own spelling
        }
        entries = [self._here(old) for old in self.entries if old["steps"] != step] + [entry]
        while 0 < self.keep < len(entries):
            for name in ((gone := entries.pop(0))["file_path"], *gone["auxillary_file_paths"]):
                if (own := self.own(name)) is not None:
                    own.unlink(missing_ok=True)
        self.status.set(self.behavior, checkpoints=entries)

    def _here(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Return an entry whose paths lead to this folder, wherever they led when it was written."""
        def here(path: str) -> str:
            return path if (own := self.own(path)) is None else str(own)

        others = [here(path) for path in entry["auxillary_file_paths"]]
        return {**entry, "file_path": here(entry["file_path"]), "auxillary_file_paths": others}

    def last_good(self) -> str:
        """Return a sentence that names the newest checkpoint that was written."""
        return f"The last good one is {self.newest}." if self.newest.exists() else "There is none from before."


def load_checkpoint(path: Path) -> State:
    """Return what a checkpoint holds; raises CheckpointError if it is missing, broken, or no checkpoint."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(
            f"{path} is not there: the run ended before its first checkpoint, or the behavior has another name. "
            f"Begin anew with --force.{whole_ones(path)}"
        ) from None
    except Exception as error:  # a damaged file makes torch and pickle fail in any way there is
        reason = str(error).split("\n")[0][:200] or type(error).__name__
        raise CheckpointError(f"{path} cannot be read as a checkpoint: {reason}.{whole_ones(path)}") from error
    if not isinstance(state, dict) or not isinstance(state.get("Policy"), dict) or "global_step" not in state:
        raise CheckpointError(f"{path} is no checkpoint of a policy.{whole_ones(path)}")
    return state


def whole_ones(path: Path) -> str:
    """Return a sentence about the newest numbered checkpoint beside a broken one that is whole, if there is one."""
    numbered = []
    for file in path.parent.glob("*-*.pt") if path.parent.is_dir() else ():
        step = file.stem.rpartition("-")[2]
        if step.isdecimal() and file != path and zipfile.is_zipfile(file):
            numbered.append((int(step), file))
    if not numbered:
        return ""
    return f" {max(numbered)[1]} is whole: copy it to {path.name} and resume, or name it as init_path."
