"""Checks of settings against the environment, files and trainers. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mlagents.envs import registry
from mlagents.rewards.settings import GAILSettings
from mlagents.settings.mistakes import near
from mlagents.settings.options import RunOptions, TrainerSettings
from mlagents.settings.support import unsupported
from mlagents_envs.demonstrations.file import demonstration_files
from mlagents_envs.exception import UnityException


def impossible(options: RunOptions) -> list[str]:
    """Return a sentence for everything that prevents a run."""
    return unsupported(options) + wrong_environment(options) + check_paths(options)


def wrong_environment(options: RunOptions) -> list[str]:
    """Return a sentence for each problem of the environment and of its parameters."""
    settings, given = options.env_settings, options.environment_parameters or {}
    if settings.env_path is None and settings.num_envs > 1:
        return [f"--num-envs: is {settings.num_envs}; there is one Editor, so name a build with --env"]
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
