"""Makes the parts of a run from its options: the one place that knows every name."""

from __future__ import annotations

import platform
import random
import sys
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mlagents.algorithms.trainer import TrainerSetup
from mlagents.collect.behavior import Behavior
from mlagents.envs.local import LocalPool
from mlagents.envs.parameters import first_lessons
from mlagents.envs.pool import EnvPool, behavior_name
from mlagents.envs.restarts import Restarts
from mlagents.envs.watched import WatchedPool
from mlagents.envs.workers import WorkerPool
from mlagents.envs.worlds import InProcess, foreseen, world
from mlagents.export.export import dry_run, export
from mlagents.nn.layers import UnsupportedNetwork
from mlagents.plugins.catalog import Catalog, writers
from mlagents.rewards.signal import Extrinsic
from mlagents.run.atomic import write_text_atomically
from mlagents.run.checkpoints import Checkpoints, load_checkpoint, whole_ones
from mlagents.run.console import Display
from mlagents.run.errors import CheckpointError, RunError
from mlagents.run.recorder import Recorder
from mlagents.run.results import ResultsFolder
from mlagents.run.run import Plan, Run, TrainedBehavior, log
from mlagents.run.status import Status
from mlagents.run.timers import Timers
from mlagents.run.writers import ConsoleWriter, GaugeWriter, TensorBoardWriter, outline
from mlagents.settings.mismatch import mismatch
from mlagents.settings.options import RunOptions, TrainerSettings
from mlagents.settings.support import incompatibilities, incompatibility
from mlagents_envs import __version__ as envs_version
from mlagents_envs.base_env import BehaviorSpec
from mlagents_envs.exception import DemonstrationException
from mlagents_envs.names import nearest

VERSION = envs_version  # the packages are released together
PROTOCOL = "1.5.0"


@dataclass
class Session:
    """A run and what must be put in order when it ends."""

    run: Run
    results: ResultsFolder
    timers: Timers
    status: Status
    display: Display


def with_seed(options: RunOptions) -> RunOptions:
    """Return the options with a seed drawn where none is given, so that the run's file of settings tells it."""
    if options.env_settings.seed >= 0:
        return options
    drawn = options.env_settings.model_copy(update={"seed": random.randrange(10000)})
    return options.model_copy(update={"env_settings": drawn})


def results_folder(options: RunOptions) -> ResultsFolder:
    """Return where a run writes; raises RunError if it cannot begin there."""
    results = ResultsFolder(Path(options.checkpoint_settings.results_dir) / options.checkpoint_settings.run_id)
    results.check(options.checkpoint_settings)
    return results


def make_session(options: RunOptions, results: ResultsFolder) -> Session:
    """Return everything that a run needs; nothing is written before the environment stands and the settings fit.

    Raises RunError or UnityException with a sentence.
    """
    said = options.checkpoint_settings
    if sentences := incompatibilities(options, foreseen(options.env_settings)):
        raise RunError("\n".join(sentences))
    seed = options.env_settings.seed
    torch.manual_seed(seed)
    timers = Timers(facts())
    versions = {"mlagents_version": VERSION, "torch_version": torch.__version__}
    status = Status(results.status, versions, read_only=said.inference)
    if said.resume or said.only_looks:
        status.load()
    pool = make_pool(options, seed, results)
    display = Display()
    board = None if said.only_looks else TensorBoardWriter(results.root)
    others, failed = writers(options)
    for sentence in failed:
        log.warning(sentence)
    files = [] if board is None else [board]
    recorder = Recorder([*files, ConsoleWriter(), GaugeWriter(timers), *others])
    add_behavior = partial(make_behavior, options, results, status, board, pool)
    plan = Plan(
        train=not said.inference,
        overlap=any(settings.threaded for settings in options.behaviors.values()),
        parameters=first_lessons(options.environment_parameters or {}, seed),
        lessons=dict.fromkeys(options.environment_parameters or {}, 0),
        episodes=said.episodes if said.inference else 0,
    )
    return Session(Run(pool, add_behavior, recorder, display, plan), results, timers, status, display)


def make_pool(options: RunOptions, seed: int, results: ResultsFolder) -> EnvPool:
    """Return the environments: one that is Python stays in this process, all others get processes of their own."""
    settings = options.env_settings
    logs = None if options.checkpoint_settings.only_looks else results.logs
    make = world(settings, options.engine_settings, seed=seed, logs=logs)
    if isinstance(make, InProcess) and settings.num_envs == 1:
        env = make(0)
        return WatchedPool.of(env, title=f"{make.name}, run {results.root.name}") if settings.watch else LocalPool(env)
    rules = partial(
        Restarts,
        lifetime=settings.max_lifetime_restarts if settings.env_path is not None else 0,  # nobody restarts an Editor
        within=settings.restarts_rate_limit_n,
        seconds=settings.restarts_rate_limit_period_s,
    )
    return WorkerPool(make, settings.num_envs, rules)


def make_behavior(
    options: RunOptions, results: ResultsFolder, status: Status, board: TensorBoardWriter | None, pool: EnvPool,
    name: str, spec: BehaviorSpec,
) -> TrainedBehavior:
    """Return a behavior ready to be trained or played, with the weights it is to begin with.

    name: without its team. Raises RunError with a sentence.
    """
    present = dict.fromkeys([name, *map(behavior_name, pool.specs)])
    settings, *_ = [settings_for(options, other, present) for other in present]  # before any of them begins
    trainer = make_trainer(options, settings, spec, name)
    behavior = Behavior(trainer, time_horizon=settings.time_horizon, training=not options.checkpoint_settings.inference)
    checkpoints = Checkpoints(results, name, status, keep=settings.keep_checkpoints)
    begin_with(behavior, options, settings, checkpoints)
    dry_run(trainer.policy)
    said = settings.model_dump()
    log.info(f"Hyperparameters for behavior name {name}: \n{outline(said)}")
    if board is not None:
        results.create()
        write_text_atomically(results.configuration, options.to_yaml())  # a run that is killed leaves its settings too
        checkpoints.clear_leftovers()
        if options.checkpoint_settings.force:
            results.clear_events(name)
        board.write_text(name, "Hyperparameters", outline(said))
    return TrainedBehavior(
        name, behavior, checkpoints, partial(export, trainer.policy),
        max_steps=settings.max_steps, summary_freq=settings.summary_freq,
        checkpoint_interval=settings.checkpoint_interval,
    )  # fmt: skip


def settings_for(options: RunOptions, name: str, present: Collection[str] = ()) -> TrainerSettings:
    """Return how a behavior is trained; raises RunError if a file names others but not this one.

    present: all behaviors of the environment, as far as they are known.
    """
    settings = options.for_behavior(name)
    if settings is not None:
        return settings
    if options.behaviors:
        close = nearest(name, [other for other in options.behaviors if other not in present])
        place = options.place("behaviors", *close)
        rename = f"Rename '{close[0]}' to '{name}'{place}, or add" if close else "Add"
        raise RunError(
            f"the environment has a behavior '{name}', but the file only has {', '.join(options.behaviors)}. "
            f"{rename} an entry behaviors.{name}, or default_settings."
        )
    return TrainerSettings()


def make_trainer(options: RunOptions, settings: TrainerSettings, spec: BehaviorSpec, name: str) -> Any:
    """Return the trainer that the settings name; raises RunError if it cannot learn this behavior."""
    catalog = Catalog(options.plugins)
    if (sentence := incompatibility(catalog, f"behaviors.{name}", settings, spec)) is not None:
        raise RunError(sentence)
    signals = [
        Extrinsic(gamma=signal.gamma, strength=signal.strength)
        for kind, signal in settings.reward_signals.items()
        if kind == "extrinsic"
    ]
    if not signals:
        raise RunError(f"behaviors.{name}.reward_signals: there is none, so there is nothing to learn from")
    playing = options.checkpoint_settings.inference
    shown = None if playing else settings.demonstrations
    setup = TrainerSetup(spec, settings.network_settings, signals, settings.max_steps, shown)
    try:
        kind = catalog.find(settings.trainer_type)
        assert kind is not None  # its settings were read with it
        return kind.trainer()(setup, settings.hyperparameters)
    except UnsupportedNetwork as error:
        raise RunError(f"behaviors.{name}: {error}") from error
    except DemonstrationException as error:
        raise RunError(f"behaviors.{name}.demonstrations: {error}") from error


def begin_with(behavior: Behavior, options: RunOptions, settings: TrainerSettings, checkpoints: Checkpoints) -> None:
    """Load the weights that the run is to begin with, if any."""
    said = options.checkpoint_settings
    if said.resume or said.only_looks:
        state = _load(behavior, checkpoints.newest, checkpoints.behavior, settings, keep_step=True)
        _restore_chance(state, checkpoints.newest)
        log.info(f"Resuming from {checkpoints.newest.parent}.")
        log.info(f"Resuming training from step {behavior.step}.")
        if said.resume and not said.inference and behavior.step > settings.max_steps:
            place = options.place("behaviors", checkpoints.behavior, "max_steps")
            log.warning(
                f"{checkpoints.behavior} has taken its max_steps of {settings.max_steps:,} already. To train on, raise "
                f"max_steps{place} and --resume; to see what it has learnt, write --inference."
            )
        return
    path = first_weights(options, settings, checkpoints.behavior)
    if path is not None:
        _load(behavior, path, checkpoints.behavior, settings, keep_step=False)
        log.info(f"Initializing from {path}.")
        log.info(f"Starting training from step 0 and saving to {checkpoints.folder}.")


def first_weights(options: RunOptions, settings: TrainerSettings, name: str) -> Path | None:
    """Return the checkpoint that `initialize_from` or `init_path` name."""
    said = options.checkpoint_settings
    given = Path(settings.init_path) if settings.init_path is not None else None
    if said.initialize_from is None:
        return given
    folder = Path(said.results_dir) / said.initialize_from / name
    if given is None:
        return folder / "checkpoint.pt"
    return folder / given if given.name == str(given) else given


def _load(
    behavior: Behavior, path: Path, name: str, settings: TrainerSettings, *, keep_step: bool
) -> dict[str, Any]:
    state = load_checkpoint(path)
    try:
        behavior.load_state_dict(state, keep_step=keep_step)
    except (AttributeError, IndexError, TypeError) as error:  # a value of another type than checkpoints have
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path} is damaged: {reason}.{whole_ones(path)}") from error
    except (KeyError, RuntimeError, ValueError) as error:
        reason = mismatch(path, name, state, behavior.state_dict(), settings)
        raise CheckpointError(
            f"{path} holds another kind of network than the settings describe: {reason}. "
            "Take the settings back, or begin anew under another --run-id."
        ) from error
    return state


def _restore_chance(state: dict[str, Any], path: Path) -> None:
    """Let random numbers go on where the checkpoint stood; raises CheckpointError for what is no such state."""
    try:
        if "rng" in state:
            torch.set_rng_state(state["rng"]["torch"])
    except (KeyError, RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path} is damaged: its random numbers cannot be restored: {reason}") from error


def facts() -> dict[str, str]:
    """Return what `timers.json` says about where the run happened."""
    return {
        "python_version": platform.python_version(),
        "command_line_arguments": " ".join(sys.argv),
        "mlagents_version": VERSION,
        "mlagents_envs_version": envs_version,
        "communication_protocol_version": PROTOCOL,
        "pytorch_version": torch.__version__,
        "numpy_version": np.__version__,
    }
