"""`mlagents.train`: a run from Python. Mistakes are raised; nothing prints, or ends the process."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mlagents.build import make_session, with_seed
from mlagents.envs.pool import MakeWorker
from mlagents.envs.registry import split
from mlagents.errors import RunError
from mlagents.run.callbacks import Callback, OnSummary
from mlagents.run.console import Display
from mlagents.run.metrics import MetricsTable
from mlagents.settings.checks import impossible
from mlagents.settings.options import RunOptions
from mlagents.settings.reading import load
from mlagents.training.environment import Env, check_copies, resolve
from mlagents.training.result import TrainingResult
from mlagents_envs.base_env import BaseEnv

Config = str | os.PathLike[str] | Mapping[str, Any]
log = logging.getLogger(__name__)


def train(
    config: Config | None = None,
    env: Env | None = None,
    *,
    run_id: str | None = None,
    results_dir: str | os.PathLike[str] | None = "results",
    seed: int | None = None,
    num_envs: int | None = None,
    num_areas: int | None = None,
    resume: bool = False,
    force: bool = False,
    callbacks: Iterable[Callback | OnSummary] = (),
    progress: bool = False,
    plugins: Iterable[str] = (),
) -> TrainingResult:
    """Train as `mlagents-learn` does, and return the run that has ended.

    config: a YAML file, or what it would hold as a dict; None trains every behavior by PPO with the defaults.
    env: what `--env` takes, the name of an example environment, a `BaseEnv`, or a function that makes one, with or
        without a parameter for its number. A `BaseEnv` stays open. None takes what the config names, or waits for the
        Unity Editor; trainers of demonstrations alone need none.
    run_id: the name of the run's folder; None takes that of the config, or else a new one.
    results_dir: the folder of all runs; None keeps files in a temporary folder, which is deleted with the result.
    seed: of every random number; None takes that of the config, or else draws one.
    num_envs: environments that run side by side; several have processes of their own.
    num_areas: copies of the training area in each environment.
    resume, force: go on with the run of this name, or overwrite it.
    callbacks: `Callback` objects, or functions that are called with every summary; they may end the run.
    progress: show a line of progress where there is a terminal.
    plugins: files or modules whose trainers the config may name.

    Raises SettingsError, RunError, TrainerError or UnityException with the sentences that the command prints.
    """
    if resume and force:
        raise RunError("resume goes on with a run and force begins it anew; give one of them")
    path, environment = resolve(env)
    temporary = tempfile.mkdtemp(prefix="mlagents-") if results_dir is None else None
    given = {"env_path": path, "seed": seed, "num_envs": num_envs, "num_areas": num_areas}
    folder = {"results_dir": temporary or results_dir, "run_id": run_id, "resume": resume, "force": force}
    top = {"plugins": list(plugins)}
    flags: dict[str, dict[str, Any]] = {"env_settings": given, "checkpoint_settings": folder, "": top}
    metrics = MetricsTable()
    try:
        options = read_options(config, flags, environment)
        session = make_session(
            options, environment=environment, display=Display(on=progress), callbacks=callbacks, more_writers=[metrics]
        )
        outcome = session.run()
    except BaseException:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        raise
    result = TrainingResult(options, environment, session.loop, outcome, metrics)
    if temporary is not None:
        weakref.finalize(result, shutil.rmtree, temporary, ignore_errors=True)
    return result


def read_options(
    config: Config | None, flags: Mapping[str, Mapping[str, Any]], environment: BaseEnv | MakeWorker | None
) -> RunOptions:
    """Return the options of a config with what was given beside it: values of False, None and nothing were not.

    environment: of the caller, instead of one that the options name. Raises SettingsError with every mistake,
    RunError for what cannot be.
    """
    given = {
        section: {key: os.fspath(value) if isinstance(value, os.PathLike) else value for key, value in values.items()
                  if value is not None and value is not False and value != []}
        for section, values in flags.items()
    }  # fmt: skip
    options, warnings = load(os.fspath(config) if isinstance(config, os.PathLike) else config, given)
    for warning in warnings:
        log.warning(warning)
    if environment is not None and options.env_settings.env_path is not None:
        own = options.env_settings.model_copy(update={"env_path": None})  # the config's is not used
        options = options.model_copy(update={"env_settings": own})
    if "run_id" not in options.checkpoint_settings.model_fields_set:
        run_id = new_run_id(options, environment)
        named = options.checkpoint_settings.model_copy(update={"run_id": run_id})
        options = options.model_copy(update={"checkpoint_settings": named})
    check_copies(environment, options.env_settings.num_envs)
    if sentences := impossible(options, environment=environment is None):
        raise RunError("\n".join(sentences))
    return with_seed(options)


def new_run_id(options: RunOptions, environment: BaseEnv | MakeWorker | None) -> str:
    """Return a name that no run in the folder of all runs has: the environment, and the time."""
    if environment is not None:
        what = type(environment).__name__ if isinstance(environment, BaseEnv) else "run"
    else:
        offline = next(iter(options.behaviors)) if options.offline else "Editor"
        what = Path(split(options.env_settings.env_path)[1]).stem or offline
    plain = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in what)[:60]
    base = f"{plain}-{time.strftime('%Y%m%d-%H%M%S')}"
    root, number, name = Path(options.checkpoint_settings.results_dir), 1, base
    while (root / name).exists():
        number += 1
        name = f"{base}-{number}"
    return name
