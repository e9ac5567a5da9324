"""Which model plays a behavior: that of a run's checkpoint, of a folder, or of one file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from mlagents.errors import RunError
from mlagents.names import wrong_run_id
from mlagents_envs.names import nearest

BEST, LAST = "best", "last"
SHOWN = 12  # names in a sentence


class Models(Protocol):
    """Where models come from."""

    def of(self, behavior: str) -> Path:
        """Return the model of a behavior; raises RunError with what there is instead."""


class ModelFile:
    """One file, which plays one behavior: the first that is asked for."""

    def __init__(self, path: Path) -> None:
        """Raise RunError if there is no such file."""
        if not path.is_file():
            raise RunError(f"{path}: there is no such model; give an .onnx file that a run has written")
        self.path = path
        self._behavior: str | None = None

    def of(self, behavior: str) -> Path:
        """Return the file, to the behavior that asked first."""
        self._behavior = self._behavior or behavior
        if behavior != self._behavior:
            raise RunError(
                f"{self.path} plays one behavior, and the environment has {self._behavior} and {behavior}: give a run, "
                "or a folder with a model NAME.onnx for each"
            )
        return self.path


class ModelFolder:
    """A folder with a model NAME.onnx for each behavior."""

    def __init__(self, root: Path) -> None:
        self.root = root
        if not any(root.glob("*.onnx")):
            raise RunError(f"{root} holds no model; give a folder with files NAME.onnx, or a run")

    def of(self, behavior: str) -> Path:
        """Return the file with the behavior's name."""
        path = self.root / f"{behavior}.onnx"
        if not path.is_file():
            there = sorted(file.name for file in self.root.glob("*.onnx"))
            raise RunError(f"{self.root} has no {path.name}, but {_listed(there)}")
        return path


class RunModels:
    """The models that a run of `mlagents-learn` has written."""

    def __init__(self, root: Path, checkpoint: str = LAST) -> None:
        """checkpoint: `last`, `best`, or the number of a step. Raises RunError for a run without any model."""
        if checkpoint not in (BEST, LAST) and not checkpoint.isdecimal():
            raise RunError(f"--checkpoint is '{checkpoint}'; it must be best, last, or the number of a step")
        self.root = root
        self.checkpoint = checkpoint
        if not any(root.glob("*.onnx")) and not any(root.glob("*/*.onnx")):
            raise RunError(
                f"{root} holds no model yet: the run has ended before its first checkpoint, or its policy is none that "
                "can be exported (then play it with mlagents-learn --inference --episodes)"
            )

    def of(self, behavior: str) -> Path:
        """Return the model of the checkpoint that was asked for."""
        folder, steps = self.root / behavior, self._steps(behavior)
        if self.checkpoint == BEST:
            path, instead = folder / "best.onnx", "the run's YAML has no `evaluation`, or it was not evaluated yet"
        elif self.checkpoint == LAST:
            path = self._last(behavior)
            instead = f"it has {_listed(self._behaviors())}"
        else:
            path = folder / f"{behavior}-{int(self.checkpoint)}.onnx"
            instead = f"there are those of the steps {_listed(list(map(str, steps)))}"
        if not path.is_file():
            wanted = "model" if self.checkpoint == LAST else f"{self.checkpoint} model"
            if self.checkpoint not in (BEST, LAST):
                wanted = f"model of step {self.checkpoint}"
            raise RunError(f"{self.root} has no {wanted} of behavior '{behavior}': {instead}")
        return path

    @property
    def settings(self) -> Path:
        """The settings of the run."""
        return self.root / "configuration.yaml"

    def lessons(self) -> dict[str, int]:
        """Return the lesson that each environment parameter of the run was in, as far as that is known."""
        found = {name: entry.get("lesson_num") for name, entry in self._status().items()}
        return {name: lesson for name, lesson in found.items() if isinstance(lesson, int)}

    def _status(self) -> dict[str, dict[str, Any]]:
        """Return what is known of the run by behavior and parameter; nothing where its file is missing or damaged."""
        known: Any = {}
        with suppress(OSError, ValueError, RecursionError):
            known = json.loads((self.root / "run_logs" / "training_status.json").read_text(encoding="utf-8"))
        entries: Mapping[str, Any] = known if isinstance(known, dict) else {}
        return {name: entry for name, entry in entries.items() if isinstance(entry, dict)}

    def _last(self, behavior: str) -> Path:
        """Return the model of the newest checkpoint.

        Its number need not be the highest: a run that was begun anew leaves the files of the one before.
        """
        listed = self._status().get(behavior, {}).get("checkpoints")
        newest = listed[-1] if isinstance(listed, list) and listed else None
        step = newest.get("steps") if isinstance(newest, dict) else None
        numbered = self.root / behavior / f"{behavior}-{step}.onnx"
        return numbered if numbered.is_file() else self.root / f"{behavior}.onnx"

    def _steps(self, behavior: str) -> list[int]:
        """Return the steps of a behavior's numbered models, ascending."""
        pattern = re.compile(rf"{re.escape(behavior)}-(\d+)\.onnx")
        found = (pattern.fullmatch(file.name) for file in (self.root / behavior).glob("*.onnx"))
        return sorted(int(match[1]) for match in found if match)

    def _behaviors(self) -> list[str]:
        final = {file.stem for file in self.root.glob("*.onnx")}
        return sorted(final | {file.parent.name for file in self.root.glob("*/*.onnx")})


def find_models(what: str, *, results_dir: Path, checkpoint: str | None = None) -> Models:
    """Return the models of a run's name, of a folder or of a file; raises RunError for what is none of them.

    checkpoint: which of a run's; None takes the last.
    """
    path, run = Path(what), results_dir / what
    if wrong_run_id(what) is None and run.is_dir():
        return RunModels(run, checkpoint or LAST)
    if path.is_dir() and (path / "configuration.yaml").is_file():
        return RunModels(path, checkpoint or LAST)
    is_file = path.suffix == ".onnx" or path.is_file()
    if checkpoint is not None and (is_file or path.is_dir()):
        raise RunError(f"--checkpoint {checkpoint}: {what} is no run, so it has no checkpoints; leave the flag away")
    if what.strip() and path.is_dir():
        return ModelFolder(path)
    if is_file:
        return ModelFile(path)
    runs = sorted(folder.name for folder in results_dir.glob("*") if folder.is_dir())
    close = nearest(what, runs)
    hint = f"did you mean '{close[0]}'?" if close else f"its runs are {_listed(runs)}" if runs else "it has no runs"
    raise RunError(f"'{what}' is no .onnx file, no folder, and no run in {results_dir}; {hint}")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more or "none"
