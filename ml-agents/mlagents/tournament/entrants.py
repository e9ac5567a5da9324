"""Who takes part: runs, files and folders of models, and random play."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from mlagents.envs.steps import Array
from mlagents.errors import RunError
from mlagents.evaluation.model_player import ModelPlayer
from mlagents.evaluation.models import Models, find_models
from mlagents.evaluation.play import Player
from mlagents.tournament.games import MakePlayer
from mlagents_envs.base_env import ActionSpec, ActionTuple, BehaviorSpec

RANDOM = "random"


class RandomPlayer:
    """Draws actions uniformly: numbers from -1 to 1, and any choice that is allowed."""

    memory_size = 0

    def __init__(self, spec: ActionSpec, seed: int) -> None:
        self._spec = spec
        self._rng = np.random.default_rng(seed)

    def act(self, obs: tuple[Array, ...], mask: Array, memory: Array) -> tuple[ActionTuple, Array]:
        """Return the actions of n agents; see `mlagents.evaluation.play.Player`."""
        n = len(mask)
        continuous = self._rng.uniform(-1, 1, (n, self._spec.continuous_size)).astype(np.float32)
        allowed = np.split(mask, np.cumsum(self._spec.discrete_branches)[:-1], axis=1)
        choices = [(self._rng.random(branch.shape) * branch).argmax(1) for branch in allowed if branch.shape[1]]
        discrete = np.stack(choices, 1) if choices else np.zeros((n, 0))
        return ActionTuple(continuous, discrete.astype(np.int32)), memory


@dataclass(frozen=True)
class Entrant:
    """Who takes part."""

    name: str
    make_player: MakePlayer
    models: Models | None  # None for random play


def find_entrants(names: list[str], *, results_dir: Path, deterministic: bool) -> list[Entrant]:
    """Return who takes part; raises RunError for fewer than two, for one twice, and for what is no model.

    A name is a run, with @best, @last or @STEP where it is to be that checkpoint, a file, a folder with NAME.onnx of
    each behavior, or `random`.
    """
    if len(names) < 2:
        raise RunError("a tournament needs two who take part at least: runs, .onnx files, or random")
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise RunError(f"{twice} is given twice")
    return [_entrant(name, results_dir, deterministic) for name in names]


def _entrant(name: str, results_dir: Path, deterministic: bool) -> Entrant:
    if name == RANDOM:
        return Entrant(name, _random, None)
    run, at, checkpoint = name.rpartition("@")
    if not at or Path(name).exists():
        run, checkpoint = name, ""
    models = find_models(run, results_dir=results_dir, checkpoint=checkpoint or None)
    return Entrant(name, partial(_model, models, deterministic), models)


def _random(behavior: str, spec: BehaviorSpec, seed: int) -> Player:
    return RandomPlayer(spec.action_spec, seed)


def _model(models: Models, deterministic: bool, behavior: str, spec: BehaviorSpec, seed: int) -> Player:
    return ModelPlayer(models.of(behavior), spec, behavior, deterministic=deterministic, seed=seed)
