"""A trained model in Unity's ONNX format as a player."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mlagents.envs.steps import Array
from mlagents_envs.base_env import ActionTuple, BehaviorSpec
from mlagents_envs.model import Model


class ModelPlayer:
    """Plays a model, deterministic where that is asked for and the model can."""

    def __init__(
        self, model: Path | Model, spec: BehaviorSpec, behavior: str, *, deterministic: bool, seed: int
    ) -> None:
        """seed: of what a file's model draws; one that is given as a `Model` has a seed already.

        Raises UnityPolicyException if it is no model, or does not fit the behavior.
        """
        self._model = Model(model, seed=seed) if isinstance(model, Path) else model
        self._model.check_fits(spec, behavior)
        self.deterministic = deterministic and self._model.deterministic
        self.memory_size = self._model.memory_size

    def act(self, obs: tuple[Array, ...], mask: Array, memory: Array) -> tuple[ActionTuple, Array]:
        """Return the actions of n agents and their (n, M) memory; see `Player`."""
        numbers = [column / np.float32(255) if column.dtype == np.uint8 else column for column in obs]
        output = self._model.act(numbers, mask, memory, deterministic=self.deterministic)
        return output.action, output.memory
