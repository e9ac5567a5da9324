"""`mlagents.evaluate`: what trained models score, from Python. It needs no torch."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlagents.envs.apart import pool_apart
from mlagents.envs.local import LocalPool
from mlagents.envs.pool import EnvPool, MakeWorker
from mlagents.envs.registry import env_maker
from mlagents.errors import RunError
from mlagents.evaluation.model_player import ModelPlayer
from mlagents.evaluation.models import Models, RunModels, find_models
from mlagents.evaluation.play import Counts, Play
from mlagents.evaluation.result import Evaluation
from mlagents.evaluation.settings import MAX_LENGTH, SEED
from mlagents.run.curriculum import Curriculum
from mlagents.settings.checks import impossible
from mlagents.settings.options import RunOptions
from mlagents.settings.reading import load
from mlagents.settings.yaml_file import read
from mlagents.training.environment import Env, check_copies, resolve
from mlagents_envs.base_env import BaseEnv, BehaviorSpec
from mlagents_envs.model import Model

EPISODES = 100
_OF_THE_RUN = ("env_settings", "engine_settings", "environment_parameters")  # sections that an evaluation obeys
_NOT_OF_THE_RUN = ("num_envs", "seed", "base_port", "watch")  # keys of env_settings that it does not
log = logging.getLogger(__name__)


def evaluate(
    model: str | os.PathLike[str] | Model | Mapping[str, Model],
    env: Env | None = None,
    *,
    episodes: int = EPISODES,
    seed: int | None = None,
    deterministic: bool = True,
    behavior: str | None = None,
    max_length: int = MAX_LENGTH,
    checkpoint: str | int | None = None,
    results_dir: str | os.PathLike[str] = "results",
    num_envs: int | None = None,
    num_areas: int | None = None,
) -> dict[str, Evaluation]:
    """Play so many episodes of each team of every behavior as `mlagents-evaluate` does, and return what they score.

    model: the name of a run, an .onnx file, a folder with NAME.onnx of each behavior, or a `Model`, of each behavior
        where there are several.
    env: what `mlagents.train` takes. None takes that of the run, or waits for the Unity Editor.
    seed: of the first environment, the next one has the next; None takes one that runs do not draw.
    deterministic: the most probable actions where the model has such; False samples, as in training.
    behavior: the only one that is scored; the others play too.
    max_length: decisions after which an episode is cut, and counts with what it has earned.
    checkpoint: `last`, `best` or a step, of a run. results_dir: the folder of all runs.
    num_envs: environments that run side by side, each with its share of the episodes; several have processes of their
        own.
    num_areas: copies of the training area in each environment.

    Raises SettingsError, RunError or UnityException with the sentences that the command prints.
    """
    path, environment = resolve(env)
    given = {"env_path": path, "seed": seed, "num_envs": num_envs, "num_areas": num_areas}
    flags = {"env_settings": {key: value for key, value in given.items() if value is not None}}
    models: Models | None = None
    if isinstance(model, str | os.PathLike):
        which = None if checkpoint is None else str(checkpoint)
        models = find_models(os.fspath(model), results_dir=Path(results_dir), checkpoint=which)
    options = read_options(models, flags, environment)
    behaviors = None if behavior is None else (behavior,)
    counts = Counts(episodes, options.env_settings.num_envs, behaviors, max_length)
    players = given_players(model, deterministic) if models is None else file_players(models, options, deterministic)
    with prepare(options, counts, players, environment=environment, models=models) as prepared:
        prepared.run()
        return prepared.play.results()


MakePlayer = Callable[[str, BehaviorSpec, int], ModelPlayer]


@dataclass(frozen=True)
class Prepared:
    """Environments and players that can begin; they are closed at the end of a `with`."""

    play: Play
    pool: EnvPool
    parameters: Mapping[str, Any]

    def run(self, **how: Any) -> None:
        """Play; see `Play.run`."""
        self.play.run(self.parameters, **how)

    def __enter__(self) -> Prepared:
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.close()


def prepare(
    options: RunOptions, counts: Counts, players: MakePlayer, *, environment: BaseEnv | MakeWorker | None = None,
    models: Models | None = None,
) -> Prepared:  # fmt: skip
    """Start the environments. environment: of the caller, instead of what the options name.

    Raises RunError or UnityException.
    """
    settings = options.env_settings
    check_copies(environment, settings.num_envs)
    if isinstance(environment, BaseEnv):
        pool: EnvPool = LocalPool(environment, owned=False)
    else:
        make = environment or env_maker(settings, options.engine_settings, seed=settings.seed, logs=None)
        pool = pool_apart(make, settings.num_envs)
    lessons = models.lessons() if isinstance(models, RunModels) else {}
    parameters = options.environment_parameters or {}
    now = Curriculum(parameters, seed=settings.seed, begun={name: lessons.get(name, 0) for name in parameters})
    return Prepared(Play(pool, players, counts), pool, now.parameters)


def read_options(
    models: Models | None, flags: Mapping[str, Mapping[str, Any]], environment: BaseEnv | MakeWorker | None = None
) -> RunOptions:
    """Return what flags say of the environment, over what the run says of its own.

    Raises SettingsError with every mistake, RunError for what cannot be.
    """
    written: dict[str, Any] = {}
    if isinstance(models, RunModels) and models.settings.is_file():
        values = read(str(models.settings)).values
        written = {section: values[section] for section in _OF_THE_RUN if values.get(section) is not None}
    own = {key: value for key, value in written.get("env_settings", {}).items() if key not in _NOT_OF_THE_RUN}
    written["env_settings"] = {"seed": SEED, **own}
    options, warnings = load(written, flags)
    for warning in warnings:
        log.warning(warning)
    if environment is not None:
        unnamed = options.env_settings.model_copy(update={"env_path": None})
        return options.model_copy(update={"env_settings": unnamed})
    if options.env_settings.seed < 0:
        raise RunError("--seed: is -1, which draws one; an evaluation is told by its seed, so give one from 0 on")
    if sentences := impossible(options):
        raise RunError("\n".join(sentences))
    return options


def file_players(models: Models, options: RunOptions, deterministic: bool) -> MakePlayer:
    """Return what makes the player of a behavior in an environment from its model's file."""
    told: set[Path] = set()

    def make(behavior: str, spec: BehaviorSpec, environment: int) -> ModelPlayer:
        path, seed = models.of(behavior), options.env_settings.seed + environment
        player = ModelPlayer(path, spec, behavior, deterministic=deterministic, seed=seed)
        if deterministic and not player.deterministic and path not in told:
            told.add(path)
            log.warning(f"{path} has no deterministic actions, as models from before 2022: its actions are drawn.")
        return player

    return make


def given_players(model: Any, deterministic: bool) -> MakePlayer:
    """Return what makes the player of a behavior from a `Model`, or from one of several by behavior."""
    if not isinstance(model, Model | Mapping):
        raise TypeError(f"model is {model!r}; it must be a run, a file, a folder, a Model, or Models by behavior")

    def make(behavior: str, spec: BehaviorSpec, environment: int) -> ModelPlayer:
        if isinstance(model, Mapping) and behavior not in model:
            raise RunError(f"the environment has a behavior '{behavior}', and there is no model of it")
        one = model[behavior] if isinstance(model, Mapping) else model
        return ModelPlayer(one, spec, behavior, deterministic=deterministic, seed=0)

    return make
