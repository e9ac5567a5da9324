"""The base of scenes with planar physics. Their rules are kernels, which write observations into columns."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from mlagents_envs.base_env import ActionTuple
from mlagents_envs.examples.engine.planar import PlanarState
from mlagents_envs.examples.example import Array, ExampleEnv


class PlanarEnv(ExampleEnv):
    """Areas full of bodies, agents first. All agents of an area begin and end their episodes together.

    state: the bodies of all areas; `state.bodies` is (areas, bodies) BODY, the PER_AREA agents of an area first.
    """

    FACING: ClassVar[float | None] = None  # rad: where agents look after a reset, if they keep that between episodes
    _seen: list[Array]  # (n, *shape) for each sensor, filled by kernels

    def __init__(
        self, bodies: Sequence[Array], *, moving: int, areas: int | None, seed: int, renew_ids: bool
    ) -> None:  # fmt: skip
        """bodies, moving: as in `PlanarState.of`."""
        super().__init__(areas=areas, seed=seed, renew_ids=renew_ids)
        self.state = PlanarState.of(self.areas, bodies, moving=moving)
        self._seen = [np.zeros((self.n, *sensor.shape), np.float32) for sensor in self.SPEC.observation_specs]
        self.set_seed(seed)

    @abstractmethod
    def _begin_in(self, areas: Array) -> None:
        """Begin episodes in these areas; there is at least one."""

    @abstractmethod
    def _play(self, action: ActionTuple, reward: Array, done: Array, interrupted: Array) -> None:
        """Simulate one decision of all agents and write its outcome into reward, done, interrupted: (n,) zeros."""

    def _see(self) -> list[Array]:
        """Return what all agents see now."""
        return [column.copy() for column in self._seen]

    def set_seed(self, seed: int) -> None:
        """Seed the random numbers of every area; takes effect at the next reset."""
        super().set_seed(seed)
        self.state.seed(seed)

    def _begin(self) -> list[Array]:
        if self.FACING is not None:
            self.state.bodies["yaw"][:, : self.PER_AREA] = self.FACING
        self._begin_in(np.arange(self.areas))
        return self._see()

    def _decide(self, action: ActionTuple) -> tuple[list[Array], Array, Array, Array, list[Array]]:
        reward, done, interrupted = np.zeros(self.n, np.float32), np.zeros(self.n, bool), np.zeros(self.n, bool)
        self._play(action, reward, done, interrupted)
        last: list[Array] = []
        if done.any():
            last = self._see()
            self._begin_in(np.flatnonzero(done[:: self.PER_AREA]))
        return self._see(), reward, done, interrupted, last
