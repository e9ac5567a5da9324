"""Explains by settings why a checkpoint does not fit the networks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mlagents.settings.mistakes import SettingsError
from mlagents.settings.options import TrainerSettings
from mlagents.settings.reading import load

MOST = 3  # tensors that are named
_LAYER = re.compile(r"Policy\.body\.(layers\.\d+\.weight|conditioned\.first\.weight)")


def mismatch(path: Path, name: str, saved: Mapping[str, Any], built: Mapping[str, Any], now: TrainerSettings) -> str:
    """Return what differs between a checkpoint and what was built: settings, or the shapes of tensors.

    path: of the checkpoint, whose run may have left its settings beside it. saved, built: states of the behavior.
    """
    if any(str(key).startswith("network_body.") for key in saved["Policy"]):
        return "it was written by Unity's trainers, whose networks have other names and cannot be read here"
    before = settings_of_run(path, name)
    found = [] if before is None else differing_settings(before, now)
    found = found or guessed_settings(saved, built)
    if found:
        return "; ".join(found)
    same = before is not None
    cause = "the settings are the same, so what the agents see or do has changed: " if same else ""
    return cause + "; ".join(differing_shapes(saved, built))


def settings_of_run(checkpoint: Path, name: str) -> TrainerSettings | None:
    """Return how a behavior was trained, from the settings that its run left; None where they cannot be read."""
    file = checkpoint.parent.parent / "configuration.yaml"
    try:
        return load(str(file), {})[0].for_behavior(name)
    except SettingsError:
        return None


def differing_settings(before: TrainerSettings, now: TrainerSettings) -> list[str]:
    """Return a clause for each setting that shapes networks and differs; hyperparameters only where no other does."""
    first, second = before.model_dump(), now.model_dump()
    for settings in (first, second):
        settings["network_settings"].pop("deterministic")
        settings["reward_signals"] = ", ".join(settings["reward_signals"])
    shapes = [
        clause
        for key in ("trainer_type", "network_settings", "reward_signals")
        for clause in _clauses(first[key], second[key], key)
    ]
    return shapes or _clauses(first["hyperparameters"], second["hyperparameters"], "hyperparameters")


def _clauses(before: Any, now: Any, key: str) -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        keys = dict.fromkeys([*before, *now])
        return [clause for name in keys for clause in _clauses(before.get(name), now.get(name), f"{key}.{name}")]
    return [] if before == now else [_clause(key, before, now)]


def _clause(key: str, before: Any, now: Any) -> str:
    there, here = (str(value).lower() if isinstance(value, bool) else value for value in (before, now))
    return f"{key} is {there} there, {here} here"


def guessed_settings(saved: Mapping[str, Any], built: Mapping[str, Any]) -> list[str]:
    """Return a clause for each of network_settings that the shapes of the policy give away."""
    guesses = [_guess(shapes(state)) for state in (saved, built)]
    return [
        _clause(f"network_settings.{key}", guesses[0][key], guesses[1][key])
        for key in guesses[0]
        if None not in (guesses[0][key], guesses[1][key]) and guesses[0][key] != guesses[1][key]
    ]


def _guess(tensors: Mapping[str, tuple[int, ...]]) -> dict[str, int | bool | None]:
    head = tensors.get("Policy.head.weight")
    return {
        "hidden_units": head[1] if head is not None and len(head) == 2 else None,
        "num_layers": sum(bool(_LAYER.fullmatch(name)) for name in tensors) or None,
        "normalize": any(name.startswith("Policy.body.normalizer.") for name in tensors),
    }


def differing_shapes(saved: Mapping[str, Any], built: Mapping[str, Any]) -> list[str]:
    """Return a clause for each of the first tensors that only one side has, or of another shape."""
    there, here = shapes(saved), shapes(built)
    found = []
    for name in dict.fromkeys([*there, *here]):
        if there.get(name) != here.get(name):
            sides = ("is not there" if name not in there else f"is {_times(there[name])} there"), (
                "not needed here" if name not in here else f"{_times(here[name])} here"
            )
            found.append(f"{name} {', '.join(sides)}")
    more = len(found) - MOST
    return [*found[:MOST], *([f"and {more} more"] if more > 0 else [])] or ["its optimizer has other parameters"]


def shapes(state: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor in the modules of a behavior's state, by module and name."""
    return {
        f"{module}.{name}": tuple(tensor.shape)
        for module, tensors in state.items()
        if isinstance(tensors, Mapping) and module not in ("global_step", "rng")
        for name, tensor in tensors.items()
        if isinstance(tensor, Tensor)
    }


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a number"
