"""Makes what evaluates a run and what ends it early, from the options."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from mlagents.envs.apart import is_build, pool_beside
from mlagents.envs.pool import MakeWorker
from mlagents.errors import RunError
from mlagents.run.evaluating import EvaluationEnv, EvaluationFile, Evaluator, Schedule
from mlagents.run.recorder import Recorder
from mlagents.run.results import ResultsFolder
from mlagents.run.status import Status
from mlagents.run.stopping import Target
from mlagents.settings.options import RunOptions, TrainerSettings
from mlagents_envs.base_env import BaseEnv


def make_evaluator(
    options: RunOptions, results: ResultsFolder, recorder: Recorder, environment: BaseEnv | MakeWorker | None
) -> Evaluator | None:
    """Return what evaluates behaviors while they are trained; None if none is to be.

    environment: of the caller. Raises RunError where there is one only.
    """
    wanted = [place for place, settings in options.entries().items() if settings.evaluation is not None]
    if options.checkpoint_settings.inference or not wanted:
        return None
    if isinstance(environment, BaseEnv):
        raise RunError(
            f"{wanted[0]}.evaluation: it is played in an environment apart from training, and there is one "
            f"{type(environment).__name__}; give a function that makes one"
        )
    settings, engine = options.env_settings, options.engine_settings
    open_pool = partial(pool_beside, settings, engine, environment, logs=results.logs)
    apart = EvaluationEnv(open_pool, keep=environment is None and is_build(settings))
    return Evaluator(apart, EvaluationFile(results.evaluations), recorder)


def make_schedule(settings: TrainerSettings, step: int, results: ResultsFolder, name: str) -> Schedule | None:
    """Return when a behavior that has taken so many steps is evaluated; None if it is not."""
    if settings.evaluation is None:
        return None
    return Schedule.begin(settings.evaluation, step, EvaluationFile(results.evaluations).entries(name) if step else [])


def make_target(settings: TrainerSettings, status: Status, name: str) -> Target | None:
    """Return what ends a behavior's training early, as it stands in the status of a resumed run; None if nothing."""
    if settings.stop_when is None:
        return None

    def note(reached: float) -> None:
        with suppress(OSError):  # it is written again with the last checkpoint
            status.set(name, stop_when={"reached": reached})

    before = status.get(name, "stop_when", {})
    reached = before.get("reached") if isinstance(before, dict) else None
    return Target(settings.stop_when, evaluated=settings.evaluation is not None, reached=reached, note=note)
