"""Basic: walk along a line to the nearer, smaller goal or the farther, larger one."""

from __future__ import annotations

import numpy as np

from mlagents_envs.base_env import ActionSpec, ActionTuple, BehaviorSpec
from mlagents_envs.examples.example import Array, ExampleEnv, vector_sensor

SIZE = 20  # places on the line that are seen
START, SMALL_GOAL, LARGE_GOAL = 10, 7, 17
STEP = np.array([0, -1, 1])  # stay, left, right


class Basic(ExampleEnv):
    """-0.01 for each decision, +0.1 at the small goal, +1 at the large one; both end the episode.

    position: (areas,) int64, the agent's place on the line, from 0 to SIZE.
    """

    NAME = "Basic"
    AREAS = 1
    SPEC = BehaviorSpec([vector_sensor(SIZE, "BasicSensor")], ActionSpec.create_discrete((3,)))

    def _begin(self) -> list[Array]:
        self.position = np.full(self.areas, START)
        return [self._see()]

    def _decide(self, action: ActionTuple) -> tuple[list[Array], Array, Array, Array, list[Array]]:
        self.position = np.clip(self.position + STEP[action.discrete[:, 0]], 0, SIZE)
        small, large = self.position == SMALL_GOAL, self.position == LARGE_GOAL
        reward = (-0.01 + 0.1 * small + large).astype(np.float32)
        last, done = self._see(), small | large
        self.position[done] = START
        return [self._see()], reward, done, np.zeros(self.areas, bool), [last]

    def _see(self) -> Array:
        """(n, SIZE) float32, one at the agent's place."""
        seen = np.zeros((self.areas, SIZE), np.float32)
        seen[np.arange(self.areas), self.position] = 1.0
        return seen
