"""What stands in the way of learning from demonstrations alone, and what has no effect there. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from mlagents.demonstrations.settings import DemonstrationSettings
from mlagents.settings.options import RunOptions, TrainerSettings

_WHY = "which learns from demonstrations alone"
_OF_AGENTS = ("time_horizon", "threaded", "reward_signals")  # what only agents in an environment need
_OF_MIXTURES = tuple(key for key in DemonstrationSettings.model_fields if key != "sources")


def offline_conflicts(options: RunOptions) -> list[str]:
    """Return a sentence for each setting that a trainer of demonstrations alone cannot obey."""
    of_behaviors = (_of_behavior(options, name) for name in options.behaviors)
    return [*_of_the_run(options), *chain.from_iterable(of_behaviors)]


def _of_the_run(options: RunOptions) -> Iterator[str]:
    """Yield what keeps a run from being one without an environment, or from being played."""
    default = options.default_settings
    offline = [name for name, settings in options.behaviors.items() if settings.offline]
    others = [name for name in options.behaviors if name not in offline]
    if default is not None and default.offline and not offline:
        yield (
            f"default_settings.trainer_type{options.place('default_settings', 'trainer_type')}: is "
            f"'{default.trainer_type}', {_WHY}, so no environment names behaviors: write their names below behaviors"
        )
    elif offline and others:
        first = offline[0]
        yield (
            f"behaviors.{first}.trainer_type{options.place('behaviors', first, 'trainer_type')}: is "
            f"'{options.behaviors[first].trainer_type}', {_WHY}, but {', '.join(others)} needs an "
            "environment: train them in two runs"
        )
    if options.offline and options.checkpoint_settings.inference and options.env_settings.env_path is None:
        yield "--inference: there is no environment to play in: name one with --env, or watch it with mlagents-watch"


def _of_behavior(options: RunOptions, name: str) -> Iterator[str]:
    """Yield what a behavior's settings lack, or have beside demonstrations."""
    settings = options.behaviors[name]
    if not settings.offline:
        return
    trainer = f"'{settings.trainer_type}'"
    at = f"behaviors.{name}"
    given = settings.demonstrations
    if given is None:
        yield f"{at}.demonstrations: is missing: {trainer} learns from nothing else"
    for number, source in enumerate(given.sources if given is not None else ()):
        if source.live is not None:
            place = options.place("behaviors", name, "demonstrations", "sources", str(number), "live")
            yield f"{at}.demonstrations.sources.{number}.live{place}: {trainer} learns from whole files: write file"
    for key in ("behavioral_cloning", "self_play"):
        if getattr(settings, key) is not None:
            yield f"{at}.{key}{options.place('behaviors', name, key)}: leave it away beside {trainer}, {_WHY}"
    for signal in settings.reward_signals:
        if signal != "extrinsic":
            place = options.place("behaviors", name, "reward_signals", signal)
            yield f"{at}.reward_signals.{signal}{place}: leave it away beside {trainer}, {_WHY}"


def without_effect(settings: TrainerSettings) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the keys of a behavior that differ from their defaults and that its trainer does not look at, and why.

    Nothing unless it learns from demonstrations alone.
    """
    if not settings.offline:
        return
    why = f"has no effect with '{settings.trainer_type}', {_WHY}"
    for key in _OF_AGENTS:  # other reward signals than the environment's are refused
        if key == "reward_signals" and settings.reward_signals.keys() != {"extrinsic"}:
            continue
        if getattr(settings, key) != type(settings).model_fields[key].default:
            yield (key,), why
    if settings.stop_when is not None and settings.evaluation is None:
        yield ("stop_when",), f"has no effect without evaluation: '{settings.trainer_type}' plays no episode itself"
    for key in _OF_MIXTURES if settings.demonstrations is not None else ():
        if getattr(settings.demonstrations, key) != DemonstrationSettings.model_fields[key].default:
            yield ("demonstrations", key), why
