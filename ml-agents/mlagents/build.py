"""Makes the parts of a run from its options: the one place that imports everything."""

from __future__ import annotations

import platform
import random
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mlagents.algorithms.author import TrainerError
from mlagents.algorithms.making import construct
from mlagents.algorithms.trainer import CPU, TrainerSetup
from mlagents.build_evaluation import make_evaluator, make_schedule, make_target
from mlagents.collect.behavior import Behavior
from mlagents.collect.offline import OfflineBehavior
from mlagents.demonstrations.recorded import demonstrated_spec, naming_the_key
from mlagents.envs.local import LocalPool
from mlagents.envs.pool import EnvPool, MakeWorker, behavior_name
from mlagents.envs.registry import PythonMaker, env_maker, foreseen
from mlagents.envs.restarts import Restarts
from mlagents.envs.unity import UnityMaker
from mlagents.envs.watched import WatchedPool
from mlagents.envs.workers import WorkerPool
from mlagents.errors import CheckpointError, ExportError, RunError
from mlagents.export.export import dry_run, export
from mlagents.nn.layers import UnsupportedNetwork
from mlagents.nn.policy import Actor, Policy
from mlagents.nn.sensors import critic_only
from mlagents.plugins.catalog import Catalog, writers
from mlagents.plugins.signals import find_signal
from mlagents.rewards.settings import RewardSignalSettings
from mlagents.rewards.signal import Extrinsic, RewardSignal, SignalSetup
from mlagents.run.atomic import write_text_atomically
from mlagents.run.callbacks import Callback, Callbacks, OnSummary
from mlagents.run.checkpoints import Checkpoints, State
from mlagents.run.console import Display
from mlagents.run.curriculum import Curriculum
from mlagents.run.evaluating import EvaluationFile
from mlagents.run.exploration import ExplorationWatch
from mlagents.run.guard import Guard
from mlagents.run.loop import Loop, TrainedBehavior, log
from mlagents.run.offline import OfflineRun
from mlagents.run.recorder import Recorder, StatsWriter
from mlagents.run.results import ResultsFolder
from mlagents.run.run import Plan, Run
from mlagents.run.session import Session
from mlagents.run.status import Status
from mlagents.run.timers import Timers
from mlagents.run.weights import begin_with
from mlagents.run.writers import ConsoleWriter, GaugeWriter, TensorBoardWriter, outline
from mlagents.selfplay.acting import fixed_opponents
from mlagents.selfplay.ladder import Ladder
from mlagents.selfplay.league import League
from mlagents.selfplay.player import Player
from mlagents.settings.mismatch import mismatch
from mlagents.settings.offline import offline_conflicts
from mlagents.settings.options import RunOptions, TrainerSettings
from mlagents.settings.support import incompatibilities, incompatibility
from mlagents_envs import __version__ as envs_version
from mlagents_envs.base_env import BaseEnv, BehaviorSpec
from mlagents_envs.exception import DemonstrationException, UnityPolicyException
from mlagents_envs.names import nearest

MakeBehavior = Callable[[Callable[[], Iterable[str]], str, BehaviorSpec], TrainedBehavior]

VERSION = envs_version  # the packages are released together
PROTOCOL = "1.5.0"


def with_seed(options: RunOptions) -> RunOptions:
    """Return the options with a seed drawn where none is given, so that the run's file of settings tells it."""
    if options.env_settings.seed >= 0:
        return options
    drawn = options.env_settings.model_copy(update={"seed": random.SystemRandom().randrange(10000)})
    return options.model_copy(update={"env_settings": drawn})


def results_folder(options: RunOptions) -> ResultsFolder:
    """Return where a run writes."""
    return ResultsFolder(Path(options.checkpoint_settings.results_dir) / options.checkpoint_settings.run_id)


def make_session(
    options: RunOptions,
    *,
    environment: BaseEnv | MakeWorker | None = None,
    display: Display | None = None,
    callbacks: Iterable[Callback | OnSummary] = (),
    more_writers: Sequence[StatsWriter] = (),
) -> Session:
    """Return a run that can begin; nothing is written before the environment stands and the settings fit.

    environment: what is trained in instead of what the options name. Raises RunError or UnityException with a sentence.
    """
    options = with_seed(options)
    asked = options.checkpoint_settings
    with ExitStack() as undo:
        results = results_folder(options)
        results.check(asked)
        undo.callback(results.unlock)
        if results.root.exists() and not asked.only_looks:
            results.lock()
            results.clear_parts()
        if sentences := offline_conflicts(options) + incompatibilities(options, foreseen(options.env_settings)):
            raise RunError("\n".join(sentences))
        timers = Timers(facts())
        versions = {"mlagents_version": VERSION, "torch_version": torch.__version__}
        status = Status(results.status, versions, read_only=asked.inference)
        if asked.resume or asked.only_looks:
            status.load()
        board = None if asked.only_looks else TensorBoardWriter(results.root)
        league = League()
        make = partial(make_behavior, options, results, status, board, league)
        if options.offline and not asked.inference:
            make_loop = offline_run(options, make)
        else:
            make_loop = run_in(options, make_pool(options, results, environment), status, league, make, undo)
        display = Display(on=False) if display is None else display
        others, failed = writers(options)
        for sentence in failed:
            log.warning(sentence)
        files = [] if board is None else [board]
        recorder = Recorder([*files, ConsoleWriter(), GaugeWriter(timers), *others, *more_writers])
        loop = make_loop(
            recorder=recorder, display=display, callbacks=Callbacks(callbacks),
            evaluator=make_evaluator(options, results, recorder, environment),
        )  # fmt: skip
        undo.pop_all()
    return Session(
        loop, results, timers, status, display, configuration=options.to_yaml(), writes=not asked.only_looks
    )  # fmt: skip


def run_in(
    options: RunOptions, pool: EnvPool, status: Status, league: League, make: MakeBehavior, undo: ExitStack
) -> Callable[..., Loop]:
    """Return what makes a run in these environments; undo: closes them if nothing comes of the run."""
    undo.callback(pool.close)
    parameters = options.environment_parameters or {}
    curriculum = Curriculum(
        parameters, seed=options.env_settings.seed, begun=status.lessons(parameters),
        note=lambda name, values: status.set(name, **values),
    )  # fmt: skip
    asked = options.checkpoint_settings
    plan = Plan(
        train=not asked.inference,
        overlap=any(settings.threaded for settings in options.behaviors.values()),
        curriculum=curriculum,
        episodes=asked.episodes if asked.inference else 0,
        league=league,
    )
    return partial(Run, pool, partial(make, lambda: pool.specs), plan=plan)


def offline_run(options: RunOptions, make: MakeBehavior) -> Callable[..., Loop]:
    """Return what makes a run without an environment; raises RunError for demonstrations that cannot be read."""
    if (path := options.env_settings.env_path) is not None:
        log.info(f"{path} is not trained in: every behavior learns from demonstrations alone.")
    known = {behavior_name(team): spec for team, spec in foreseen(options.env_settings).items()}
    specs = {name: known.get(name) or recorded_spec(name, each) for name, each in options.behaviors.items()}
    parameters = Curriculum(options.environment_parameters or {}, seed=options.env_settings.seed).parameters
    return partial(OfflineRun, specs, partial(make, lambda: specs), parameters=parameters)


def recorded_spec(name: str, settings: TrainerSettings) -> BehaviorSpec:
    """Return what a behavior sees and does, as its demonstrations have it; raises RunError."""
    assert settings.demonstrations is not None  # offline_conflicts refuses a behavior without
    try:
        with naming_the_key("demonstrations"):
            return demonstrated_spec(settings.demonstrations.sources)
    except DemonstrationException as error:
        raise RunError(f"behaviors.{name}.{error}") from error


def make_pool(
    options: RunOptions, results: ResultsFolder, environment: BaseEnv | MakeWorker | None = None
) -> EnvPool:
    """Return the environments: one that is Python stays in this process, all others get processes of their own.

    environment: one of the caller's, which stays open in the end, or what makes one for each worker.
    """
    settings = options.env_settings
    if isinstance(environment, BaseEnv):
        return LocalPool(environment, owned=False)
    logs = None if options.checkpoint_settings.only_looks else results.logs
    make = environment or env_maker(settings, options.engine_settings, seed=settings.seed, logs=logs)
    if settings.num_envs == 1 and (isinstance(make, PythonMaker) or environment is not None):
        env = make(0)
        if settings.watch and isinstance(make, PythonMaker):
            return WatchedPool.of(env, title=f"{make.name}, run {results.root.name}")
        return LocalPool(env)
    rules = partial(
        Restarts,
        lifetime=0 if isinstance(make, UnityMaker) and settings.env_path is None else settings.max_lifetime_restarts,
        within=settings.restarts_rate_limit_n,
        seconds=settings.restarts_rate_limit_period_s,
    )  # nobody restarts an Editor
    return WorkerPool(make, settings.num_envs, rules)


def make_behavior(
    options: RunOptions, results: ResultsFolder, status: Status, board: TensorBoardWriter | None, league: League,
    present: Callable[[], Iterable[str]], name: str, spec: BehaviorSpec,
) -> TrainedBehavior:
    """Return a behavior ready to be trained or played, with the weights it is to begin with.

    present: the teams that are known by now; name: without its team. Raises RunError with a sentence.
    """
    names = dict.fromkeys([name, *map(behavior_name, present())])
    settings, *_ = [settings_for(options, other, names) for other in names]  # before any of them begins
    trainer = make_trainer(options, settings, spec, name)
    training = not options.checkpoint_settings.inference
    if settings.offline and training:
        behavior: Behavior = OfflineBehavior(trainer)
    else:
        behavior = Behavior(trainer, time_horizon=settings.time_horizon, training=training)
    checkpoints = Checkpoints(results, name, status, keep=settings.keep_checkpoints)
    state = begin(behavior, options, settings, checkpoints)
    if settings.self_play is not None and training:
        enter(league, behavior, options, settings, checkpoints, state)
    exporting = exporter(trainer.policy, name)
    shown = outline(settings.model_dump())
    log.info(f"Hyperparameters for behavior name {name}: \n{shown}")
    if board is not None:
        results.create()
        write_text_atomically(results.configuration, options.to_yaml())  # a run that is killed leaves its settings too
        checkpoints.clear_leftovers()
        if options.checkpoint_settings.force:
            results.clear_old(name)
            checkpoints.delete_best()
            EvaluationFile(results.evaluations).forget(name)
        board.write_text(name, "Hyperparameters", shown)
    return TrainedBehavior(
        name, behavior, checkpoints, exporting,
        max_steps=settings.max_steps, summary_freq=settings.summary_freq,
        checkpoint_interval=settings.checkpoint_interval,
        evaluations=make_schedule(settings, behavior.step, results, name) if training else None,
        target=make_target(settings, status, name) if training else None,
        guard=Guard(
            name, behavior, checkpoints, on_nan=settings.on_nan, writes=not options.checkpoint_settings.only_looks
        ),
        exploration=ExplorationWatch(
            name, settings.max_steps, settings.hyperparameters.model_dump(), list(settings.reward_signals)
        ),
    )  # fmt: skip


def begin(behavior: Behavior, options: RunOptions, settings: TrainerSettings, checkpoints: Checkpoints) -> State:
    """Load the weights that the run begins with, if any; warn of a resume that has nothing left to do.

    Returns the checkpoint of a run that goes on, else nothing.
    """

    def explain(path: Path, saved: State, built: State) -> str:
        return mismatch(path, checkpoints.behavior, saved, built, settings)

    asked = options.checkpoint_settings
    state = begin_with(behavior, checkpoints, asked, settings.init_path, explain)
    if asked.resume and not asked.inference and behavior.step > settings.max_steps:
        place = options.place("behaviors", checkpoints.behavior, "max_steps")
        log.warning(
            f"{checkpoints.behavior} has taken its max_steps of {settings.max_steps:,} already. To train on, raise "
            f"max_steps{place} and --resume; to see what it has learnt, write --inference."
        )
    return state


def enter(
    league: League, behavior: Behavior, options: RunOptions, settings: TrainerSettings, checkpoints: Checkpoints,
    state: State,
) -> None:  # fmt: skip
    """Let a behavior play in the league. state: the checkpoint of a run that goes on, else nothing.

    Raises RunError for opponents that cannot play, CheckpointError for a state that is none of a league.
    """
    name, play, seed = checkpoints.behavior, settings.self_play, options.env_settings.seed
    assert play is not None
    rating = checkpoints.status.get(name, "elo", play.initial_elo) if state else play.initial_elo
    draws = generator_of(seed, f"{name}/opponents")
    ladder = Ladder(play, draws, rating=float(rating), step=behavior.step)
    try:
        fixed = fixed_opponents(play, behavior.trainer.policy.spec, name, seed=seed)
    except UnityPolicyException as error:
        raise RunError(f"behaviors.{name}.self_play.opponents: {error}") from error
    player = Player(behavior, ladder, fixed=fixed, max_steps=settings.max_steps, seed=max(seed, 0))
    try:
        league.enter(name, player, state.get(league.KEY))
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{checkpoints.newest} is damaged: its self-play cannot be restored: {reason}") from error


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
    rewards = {} if settings.offline else settings.reward_signals
    if not rewards and not settings.offline:
        raise RunError(f"behaviors.{name}.reward_signals: there is none, so there is nothing to learn from")
    playing = options.checkpoint_settings.inference
    shown, cloned = (None, None) if playing else (settings.demonstrations, settings.behavioral_cloning)
    generator = generator_of(options.env_settings.seed, name)
    try:
        privileged = critic_only(spec.observation_specs, settings.network_settings)
        signals = []
        for signal, given in rewards.items():
            asked = SignalSetup(signal, spec, CPU, generator, training=not playing, critic_only=privileged)
            signals.append(make_signal(catalog, given, asked))
        setup = TrainerSetup(
            spec, settings.network_settings, signals, settings.max_steps, shown, generator=generator, cloning=cloned
        )
        kind = catalog.find(settings.trainer_type)
        assert kind is not None  # its settings were read with it
        return construct(kind.trainer(), setup, settings.hyperparameters)
    except (UnsupportedNetwork, TrainerError) as error:
        raise RunError(f"behaviors.{name}: {error}") from error
    except DemonstrationException as error:
        raise RunError(f"behaviors.{name}.{error}") from error


def make_signal(catalog: Catalog, settings: RewardSignalSettings, setup: SignalSetup) -> RewardSignal:
    """Return a reward signal of the YAML; raises TrainerError for a mistake in an author's class.

    Raises DemonstrationException, with the key below the behavior, for demonstrations that cannot be used.
    """
    if setup.name == "extrinsic":
        return Extrinsic(gamma=settings.gamma, strength=settings.strength)
    kind = find_signal(catalog, setup.name)
    assert kind is not None  # its settings were read with it
    made: RewardSignal = construct(kind.signal(), setup, settings)
    return made


def exporter(policy: Policy, name: str) -> Callable[[Path], None] | None:
    """Return what writes the policy as a model, or None where none can be, with a warning: training goes on.

    Raises ExportError for a built-in policy: that is no author's choice.
    """
    kind = f"{type(policy).__module__}.{type(policy).__qualname__}"
    if not policy.exports:
        log.warning(f"{name}: no model is written, because {kind} has exports = False.")
        return None
    try:
        dry_run(policy)
    except ExportError as error:
        if type(policy) is Actor:
            raise
        log.warning(f"{name}: no model is written, because {kind} cannot be exported: {error}. Training goes on.")
        return None
    return partial(export, policy)


def generator_of(seed: int, name: str) -> torch.Generator:
    """Return the random numbers of a behavior: they depend on its name, not on which others there are."""
    words = np.random.SeedSequence([max(seed, 0), *name.encode()]).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(words[0]) << 31 | int(words[1]) >> 1)


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
