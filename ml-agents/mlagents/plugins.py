"""Trainers by name. Their settings are read before torch is loaded; the trainers themselves after."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mlagents.algorithms.settings import HyperparamSettings, POCASettings, PPOSettings, SACSettings

SETTINGS: dict[str, type[HyperparamSettings]] = {"ppo": PPOSettings, "sac": SACSettings, "poca": POCASettings}
_TRAINERS = {"ppo": ("mlagents.algorithms.ppo", "PPOTrainer")}


def is_built(name: str) -> bool:
    """Is there a trainer behind this name, beside its settings?"""
    return name in _TRAINERS


def trainer_class(name: str) -> Any:
    """Return the trainer class of this name; loads torch."""
    module, kind = _TRAINERS[name]
    return getattr(import_module(module), kind)
