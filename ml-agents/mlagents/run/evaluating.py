"""Evaluates behaviors while a run trains them, in an environment apart, and keeps the best of each.

Nothing of training is touched: copies of the policies play, whose random numbers are their own, and global ones are
put back.
"""

from __future__ import annotations

import copy
import json
import logging
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from mlagents.collect.playing import PolicyPlayer
from mlagents.envs.pool import EnvPool
from mlagents.errors import RunError
from mlagents.evaluation.play import Counts, MakePlayer, Play
from mlagents.evaluation.result import Evaluation
from mlagents.evaluation.settings import EvaluationSettings
from mlagents.nn.policy import Policy
from mlagents.run.atomic import write_text_atomically
from mlagents.run.recorder import Aggregation, Recorder, StatsSummary
from mlagents_envs.base_env import BehaviorSpec
from mlagents_envs.exception import UnityException
from mlagents_envs.system_errors import sentence

Entry = dict[str, Any]  # an evaluation, as a line of the file has it
Lessons = Mapping[str, int]  # the lesson of each environment parameter
log = logging.getLogger(__name__)


class EvaluationFile:
    """`evaluations.jsonl`: a line for each evaluation of a run, oldest first."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self, behavior: str | None = None) -> list[Entry]:
        """Return the evaluations of a behavior, or of all; lines that are none are left out."""
        entries = []
        for line in self._lines():
            with suppress(ValueError):
                entry = json.loads(line)
                if isinstance(entry, dict) and (behavior is None or entry.get("behavior") == behavior):
                    entries.append(entry)
        return entries

    def add(self, entry: Entry) -> None:
        """Append a line; raises OSError."""
        self._write([*self._lines(), json.dumps(entry)])

    def forget(self, behavior: str) -> None:
        """Delete the evaluations of a behavior, which begins anew; raises OSError."""
        kept = [json.dumps(entry) for entry in self.entries() if entry.get("behavior") != behavior]
        if kept:
            self._write(kept)
        else:
            self.path.unlink(missing_ok=True)

    def _lines(self) -> list[str]:
        try:
            return self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []

    def _write(self, lines: list[str]) -> None:
        write_text_atomically(self.path, "".join(f"{line}\n" for line in lines))


class OpenPool(Protocol):
    """Makes an environment apart from training."""

    def __call__(self, *, seed: int) -> EnvPool: ...


@dataclass
class Schedule:
    """When a behavior is evaluated, and what it has scored so far."""

    settings: EvaluationSettings
    next: int  # step at which it is due
    history: list[Entry] = field(default_factory=list)

    @classmethod
    def begin(cls, settings: EvaluationSettings, step: int, history: list[Entry]) -> Schedule:
        """Return the schedule of a behavior that has taken so many steps."""
        return cls(settings, _after(step, settings.interval), history)

    def is_due(self, step: int) -> bool:
        """Is an evaluation due?"""
        return step >= self.next

    def begin_next(self, step: int) -> None:
        """Let the next one come an interval later."""
        self.next = _after(step, self.settings.interval)

    def is_best(self, score: float, lessons: Lessons) -> bool:
        """Is a score above that of all that were kept in these lessons? What other lessons earn is not compared."""
        kept = [entry for entry in self.history if entry.get("best") and entry.get("lessons", {}) == dict(lessons)]
        scores = [entry.get("score") for entry in kept]
        return all(score > other for other in scores if isinstance(other, int | float))


class EvaluationEnv:
    """The environment apart from training: made anew for each evaluation, or kept where that is too dear."""

    def __init__(self, open_pool: OpenPool, *, keep: bool) -> None:
        """open_pool: makes it from a seed. keep: start it once, as a build; only its first evaluation has the seed."""
        self._open_pool = open_pool
        self._keep = keep
        self._kept: EnvPool | None = None

    @contextmanager
    def opened(self, seed: int) -> Iterator[EnvPool]:
        """Yield the environment; one that fails is closed."""
        pool = self._open_pool(seed=seed) if self._kept is None else self._kept
        self._kept = None
        try:
            yield pool
        except BaseException:
            pool.close()
            raise
        if self._keep:
            self._kept = pool
        else:
            pool.close()

    def close(self) -> None:
        """End the environment, if it is kept."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None


class Evaluator:
    """Plays the evaluations of a run and writes what they score."""

    def __init__(self, environment: EvaluationEnv, file: EvaluationFile, recorder: Recorder) -> None:
        self._environment = environment
        self._file = file
        self._recorder = recorder

    def evaluate(
        self, behavior: str, schedule: Schedule, step: int, policies: Mapping[str, Policy],
        parameters: Mapping[str, Any], lessons: Lessons, *, stopped: Callable[[], bool], keep: Callable[[], object],
    ) -> float | None:  # fmt: skip
        """Evaluate a behavior and return its score; None if the evaluation failed, which is logged, or was stopped.

        policies: of all behaviors. keep: is called if this is the best evaluation so far; raises RunError or OSError.
        """
        schedule.begin_next(step)
        try:
            evaluation = self._play(behavior, schedule.settings, policies, parameters, stopped)
        except (RunError, UnityException) as error:
            log.error(
                f"{behavior}: the evaluation at step {step:,} failed: {str(error).rstrip('.')}. Training goes on, and "
                f"it is tried again at step {schedule.next:,}."
            )
            return None
        if evaluation is None:
            return None
        place = f"{behavior}: the evaluation at step {step:,}"
        best = schedule.settings.keep_best and schedule.is_best(evaluation.score, lessons)
        best = best and done(keep, f"{place} is the best so far, but it could not be kept")
        entry = entry_of(behavior, step, evaluation, schedule.settings, lessons, best=best)
        schedule.history.append(entry)
        self._tell(entry, evaluation)
        done(partial(self._file.add, entry), f"{place} could not be written")
        return evaluation.score

    def close(self) -> None:
        """End the environment."""
        self._environment.close()

    def _play(
        self, behavior: str, settings: EvaluationSettings, policies: Mapping[str, Policy],
        parameters: Mapping[str, Any], stopped: Callable[[], bool],
    ) -> Evaluation | None:  # fmt: skip
        players = policy_players(policies, deterministic=settings.deterministic, seed=settings.seed)
        counts = Counts(settings.episodes, behaviors=(behavior,), max_length=settings.max_length)
        with global_rng_kept(), self._environment.opened(settings.seed) as pool:
            play = Play(pool, players, counts)
            play.run(copy.deepcopy(dict(parameters)), stopped=stopped)  # samplers of its own
            return play.results()[behavior] if play.complete else None

    def _tell(self, entry: Entry, evaluation: Evaluation) -> None:
        """Log what an evaluation found, and hand it to the writers."""
        low, high = entry["interval"] or (None, None)
        spread = "" if low is None else f" ({low:.3f} to {high:.3f} with a confidence of 95 %)"
        log.info(
            f"{entry['behavior']}. Step: {entry['step']}. Evaluation over {entry['episodes']} episodes. "
            f"Mean Reward: {entry['score']:.3f}{spread}.{' The best so far.' if entry['best'] else ''}"
        )
        if entry["cut"]:
            log.warning(
                f"{entry['cut']} of these episodes were not over after evaluation.max_length decisions, and were cut: "
                "the policy may move in circles, which `deterministic: false` shakes."
            )
        numbers = {
            "Evaluation/Cumulative Reward": StatsSummary(evaluation.returns, Aggregation.HISTOGRAM),
            "Evaluation/Episode Length": StatsSummary(evaluation.lengths, Aggregation.AVERAGE),
        }
        if evaluation.groups.any():
            group = StatsSummary(evaluation.group_returns, Aggregation.HISTOGRAM)
            numbers["Evaluation/Group Cumulative Reward"] = group
        if low is not None:
            numbers["Evaluation/Reward Lower Bound"] = StatsSummary(np.array([low]), Aggregation.AVERAGE)
            numbers["Evaluation/Reward Upper Bound"] = StatsSummary(np.array([high]), Aggregation.AVERAGE)
        self._recorder.write_apart(entry["behavior"], numbers, entry["step"])


def entry_of(
    behavior: str, step: int, evaluation: Evaluation, settings: EvaluationSettings, lessons: Lessons, *, best: bool
) -> Entry:
    """Return an evaluation as a line of the file has it."""
    scores = evaluation.scores
    return {
        "behavior": behavior, "step": step, "episodes": len(evaluation), "score": evaluation.score,
        "std": float(scores.std()), "interval": evaluation.interval, "median": float(np.median(scores)),
        "min": float(scores.min()), "max": float(scores.max()), "length": float(evaluation.lengths.mean()),
        "cut": int(evaluation.cut.sum()),
        "group_reward": float(evaluation.group_returns.mean()) if evaluation.groups.any() else None,
        "seed": settings.seed, "deterministic": settings.deterministic, "best": best,
        **({"lessons": dict(lessons)} if lessons else {}),
    }  # fmt: skip


def done(action: Callable[[], object], otherwise: str) -> bool:
    """Do something that may fail, and return whether it did not; the reason is logged behind `otherwise`."""
    try:
        action()
    except (RunError, OSError) as error:
        log.error(f"{otherwise}: {sentence(error) if isinstance(error, OSError) else error}")
        return False
    return True


def policy_players(policies: Mapping[str, Policy], *, deterministic: bool, seed: int) -> MakePlayer:
    """Return what makes players of copies of these policies, by behavior; it raises RunError for a behavior without."""

    def make(behavior: str, spec: BehaviorSpec, environment: int) -> PolicyPlayer:
        if behavior not in policies:
            raise RunError(f"the environment has a behavior '{behavior}', which was not trained")
        return PolicyPlayer(policies[behavior], deterministic=deterministic, seed=seed + environment)

    return make


@contextmanager
def global_rng_kept() -> Iterator[None]:
    """Put the process's global random numbers back afterwards: an environment in it may draw from them."""
    python, numbers, tensors = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numbers)
        torch.set_rng_state(tensors)


def _after(step: int, interval: int) -> int:
    """Return the smallest multiple of `interval` above `step`."""
    return (step // interval + 1) * interval
