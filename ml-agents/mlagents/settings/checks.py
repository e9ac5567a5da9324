"""Checks of settings against the environment, files and trainers. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mlagents.envs import registry
from mlagents.envs.pool import behavior_name
from mlagents.rewards.settings import GAILSettings
from mlagents.settings.mistakes import near
from mlagents.settings.offline import offline_conflicts
from mlagents.settings.options import RunOptions, TrainerSettings
from mlagents.settings.support import unsupported
from mlagents_envs.demonstrations.file import demonstration_files
from mlagents_envs.exception import UnityException

if TYPE_CHECKING:
    from mlagents_envs.base_env import BehaviorSpec


def impossible(options: RunOptions, *, environment: bool = True) -> list[str]:
    """Return a sentence for everything that prevents a run; environment: look at that which the options name, too."""
    found = unsupported(options) + offline_conflicts(options)
    found += wrong_environment(options) if environment else []
    return found + contradictions(options) + check_files(options)


def contradictions(options: RunOptions) -> list[str]:
    """Return a sentence for each section that needs what another one lacks."""
    found = []
    for name, parameter in (options.environment_parameters or {}).items():
        for lesson in parameter.curriculum:
            criteria = lesson.completion_criteria
            if criteria is None or criteria.measure != "Elo":
                continue
            settings = options.for_behavior(criteria.behavior)
            if settings is None or settings.self_play is None:
                found.append(
                    f"environment_parameters.{name}: lesson '{lesson.name}' ends by the Elo of '{criteria.behavior}', "
                    f"which has no self_play and so no rating; give behaviors.{criteria.behavior} a section self_play, "
                    "or measure: reward"
                )
    return found


def check_files(options: RunOptions) -> list[str]:
    """Return a sentence for each file or folder of the options that does not exist, or is not what it should be."""
    return check_paths(options) + check_opponents(options)


def wrong_environment(options: RunOptions) -> list[str]:
    """Return a sentence for each problem of the environment and of its parameters."""
    settings, given = options.env_settings, options.environment_parameters or {}
    evaluated = [place for place, each in options.entries().items() if each.evaluation is not None]
    if settings.env_path is None and options.offline:
        why = "there is no environment to play in: name one with --env, or leave it away"
        return [f"{evaluated[0]}.evaluation: {why}"] if evaluated else []
    if settings.env_path is None and settings.num_envs > 1:
        return [f"--num-envs: is {settings.num_envs}; there is one Editor, so name a build with --env"]
    if settings.env_path is None and evaluated and not options.checkpoint_settings.inference:
        return [
            f"{evaluated[0]}.evaluation: is played in a second environment, and there is one Editor; name a build with "
            "--env, or leave it away"
        ]
    try:
        registry.check(settings)
        known = registry.parameters(settings) if given else None
    except UnityException as error:
        return [f"--env: {error}"]
    return [
        f"environment_parameters.{name}: {settings.env_path} has no such parameter{near(name, known)} "
        f"Known: {', '.join(known) or 'none'}"
        for name in given
        if known is not None and name not in known
    ]


def check_paths(options: RunOptions) -> list[str]:
    """Return a sentence for each file or folder of the options that does not exist."""
    missing = []
    source = options.checkpoint_settings.initialize_from
    results = Path(options.checkpoint_settings.results_dir)
    if source is not None and not (results / source).is_dir():
        missing.append(f"--initialize-from: there is no run '{source}' in {results}")
    if options.checkpoint_settings.inference:
        return missing
    for place, settings in options.entries().items():
        for key, path in _demonstrations(settings):
            if (problem := _no_demonstration(path)) is not None:
                missing.append(f"{place}.{key}: {problem}")
    return missing


def check_opponents(options: RunOptions) -> list[str]:
    """Return a sentence for each fixed opponent of self-play that is no model, or is one of other agents.

    Agents are compared where the environment's are known before it starts.
    """
    named = [
        (key, settings.self_play) for key, settings in options.entries().items()
        if settings.self_play is not None and any(each.model is not None for each in settings.self_play.opponents)
    ]  # fmt: skip
    if not named or options.checkpoint_settings.inference:
        return []
    try:
        specs = registry.foreseen(options.env_settings)
    except UnityException:  # there is no such environment, which has a sentence of its own
        specs = {}
    known = {behavior_name(team): spec for team, spec in specs.items()}
    found = []
    for key, play in named:
        spec = known.get(key.removeprefix("behaviors."))
        for i, opponent in enumerate(play.opponents):
            if opponent.model is not None and (problem := _no_opponent(opponent.model, spec)) is not None:
                found.append(f"{key}.self_play.opponents.{i}.model: {problem}")
    return found


def _no_opponent(path: str, spec: BehaviorSpec | None) -> str | None:
    """Return why a file cannot play, None if it can. spec: of the agents, None if not known yet."""
    from mlagents_envs.model import Model  # loads onnxruntime

    if not Path(path).is_file():
        return f"there is no file {path}"
    try:
        model = Model(path)
        if spec is not None:
            model.check_fits(spec, "the behavior")
    except UnityException as error:
        return str(error)
    return None


def _demonstrations(settings: TrainerSettings) -> Iterator[tuple[str, str]]:
    """Yield the key and the path of every demonstration that a behavior's settings name, and that is to be there."""
    for entry in settings.demonstrations.sources if settings.demonstrations is not None else ():
        if entry.file is not None:
            yield "demonstrations", entry.file
    if settings.behavioral_cloning is not None:
        yield "behavioral_cloning.demo_path", settings.behavioral_cloning.demo_path
    for name, signal in settings.reward_signals.items():
        if isinstance(signal, GAILSettings):
            yield f"reward_signals.{name}.demo_path", signal.demo_path


def _no_demonstration(path: str) -> str | None:
    """Return why there is no demonstration at a path, None if there is one."""
    try:
        demonstration_files(path)
    except (FileNotFoundError, ValueError) as error:
        return str(error)
    return None
