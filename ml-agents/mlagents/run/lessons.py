"""Why has a lesson not changed? What its end depends on, as it is now, in a sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from mlagents.errors import RunError
from mlagents.run.results import ResultsFolder
from mlagents_envs.names import nearest

KEY = "lesson_standing"  # in training_status.json, beside a parameter's lesson_num


@dataclass(frozen=True)
class Standing:
    """How far a parameter's lesson is from its end."""

    parameter: str
    lesson: int  # from 0
    lessons: int  # how many there are
    title: str  # of the lesson
    behavior: str  # whose progress counts
    measure: str  # what is compared with the threshold: reward, progress, Elo
    threshold: float
    value: float | None  # of the measure; None where there is nothing to measure yet
    smoothed: bool  # is the value averaged with its last one?
    episodes: int  # of the behavior that the value is over, or that have ended
    needed: int  # episodes that must have ended
    appeared: bool  # has an agent of the behavior reported?

    def metrics(self) -> dict[str, float]:
        """Return what is recorded, by TensorBoard tag."""
        numbers = {"Episodes": float(self.episodes), "Threshold": self.threshold}
        if self.value is not None:
            numbers["Measure"] = self.value
        return {f"Environment/Lesson {what}/{self.parameter}": number for what, number in numbers.items()}

    def __str__(self) -> str:
        where = f"'{self.parameter}' is in lesson {self.lesson + 1} of {self.lessons}, '{self.title}'"
        if not self.appeared:
            return f"{where}, which ends by the {self.measure} of '{self.behavior}', but no agent of that has appeared"
        what = {"reward": "mean reward", "progress": "share of max_steps"}.get(self.measure, self.measure)
        if self.episodes < self.needed:
            return (
                f"{where}: {self.episodes} of {self.needed} episodes of '{self.behavior}' have ended; "
                f"then its {what} must be above {self.threshold:g}"
            )
        if self.value is None:
            return f"{where}: no episode of '{self.behavior}' has ended; its {what} must be above {self.threshold:g}"
        number = f"{self.value:.1f}" if self.measure == "Elo" else f"{self.value:.3g}"
        value = number + (" (smoothed)" if self.smoothed else "")
        over = f" over {self.episodes} episodes" if self.measure == "reward" else ""
        return f"{where}: the {what} of '{self.behavior}' is {value}{over} and must be above {self.threshold:g}"

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return asdict(self)


def from_json(values: Any) -> Standing | None:
    """Return a standing, or None for what is none."""
    names = {column.name for column in fields(Standing)}
    if not isinstance(values, Mapping) or set(values) != names:
        return None
    return Standing(**values)


def explain(results_dir: Path, run_id: str) -> list[str]:
    """Return a sentence for each environment parameter of a run, also of one that is training now.

    Raises RunError if there is no such run.
    """
    status = ResultsFolder(results_dir / run_id).status
    try:
        known = json.loads(status.read_text(encoding="utf-8"))
    except FileNotFoundError:
        runs = [path.parents[1].name for path in results_dir.glob("*/run_logs/training_status.json")]
        hint = "".join(f"; did you mean '{run}'?" for run in nearest(run_id, runs))
        raise RunError(f"{status} is not there: no run '{run_id}' has saved anything yet{hint}") from None
    except (OSError, ValueError) as error:
        raise RunError(f"{status} cannot be read: {error}") from error
    sentences = []
    for name, values in known.items() if isinstance(known, dict) else ():
        if not isinstance(values, dict) or "lesson_num" not in values:
            continue
        standing = from_json(values.get(KEY))
        if standing is not None and standing.lesson == values["lesson_num"]:
            sentences.append(f"{standing}.")
        else:
            lesson = values["lesson_num"] + 1
            sentences.append(f"'{name}' is in lesson {lesson}: its last one, or nothing is known of it yet.")
    return sentences or [f"Run '{run_id}' has no environment parameters, and so no lessons."]
