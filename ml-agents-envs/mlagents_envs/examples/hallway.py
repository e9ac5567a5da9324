"""Hallway: remember which symbol stands in a hall, and walk to the goal under the same one.

A hall of 20 x 50. Near its middle stands an O or an X; at its far end are two goals, one of each, on sides that change.
An agent, a cube of 25 kg that begins at the near end, decides every 6 physics steps of 0.02 s. The right goal gives 1,
the wrong one -0.1, which take the place of what was earned since the last decision, and both end the episode; each
physics step costs 1/3000, and after 3000 the episode is interrupted.
"""

from __future__ import annotations

import numpy as np

from mlagents_envs.base_env import ActionSpec, ActionTuple, BehaviorSpec
from mlagents_envs.examples import hallway_numba as kernel
from mlagents_envs.examples.engine.planar import DEFAULT_FRICTION, body
from mlagents_envs.examples.engine.planar_env import PlanarEnv
from mlagents_envs.examples.example import Array, vector_sensor
from mlagents_envs.examples.sensors.rays import RaySensor, rays
from mlagents_envs.side_channel.identifiers import StatsAggregationMethod

O_GOAL, X_GOAL, O_SYMBOL, X_SYMBOL, WALL = range(5)  # tags
RAYS = RaySensor("RayPerceptionSensor", 5, 2, 70.0, 12.0, stack=3)
WALLS = ((9.75, 0.0, 0.25, 25.0), (-9.75, 0.0, 0.25, 25.0), (0.0, 25.0, 10.0, 0.25), (0.0, -25.0, 10.0, 0.25))


def bodies() -> list[Array]:
    """Return what is in an area, in the order that the kernels know."""
    return [
        body(heights=(0.5, 1.5), mass=25.0, drag=2.0, friction=DEFAULT_FRICTION),
        *(body(half=(2.0, 0.5), heights=(0.45, 4.45), tag=tag) for tag in (O_SYMBOL, X_SYMBOL)),
        # flat on the ground, but high enough to stop who walks there
        body(half=(2.0, 2.0), heights=(0.538, 0.638), tag=O_GOAL),
        body(half=(2.0, 2.0), heights=(0.45, 0.55), tag=X_GOAL),
        body(half=(2.04, 0.572), heights=(0.582, 4.594), tag=O_GOAL),
        body(half=(2.04, 0.572), heights=(0.494, 4.506), tag=X_GOAL),
        *(body(x, z, half=(hx, hz), heights=(-0.5, 3.5), tag=WALL) for x, z, hx, hz in WALLS),
    ]


class Hallway(PlanarEnv):
    """Action: 0 nothing, 1 forward, 2 back, 3 turn right, 4 turn left. Observes the episode's elapsed share."""

    NAME = "Hallway"
    AREAS = 17
    SPEC = BehaviorSpec(
        [RAYS.spec, vector_sensor(3, "StackingSensor_size3_VectorSensor_size1")], ActionSpec.create_discrete((5,))
    )

    def __init__(self, *, areas: int | None = None, seed: int = 0, renew_ids: bool = False) -> None:
        super().__init__(bodies(), moving=1, areas=areas, seed=seed, renew_ids=renew_ids)
        self._goal = np.zeros(self.n, np.int64)  # the goal that is right, 0 for O and 1 for X
        self._rays = rays(RAYS)
        self._reached = {"Goal/Correct": 0, "Goal/Wrong": 0}  # since `stats` was last called

    def stats(self) -> list[tuple[str, float, int]]:
        """Return how often either goal was reached since the last call, to be summed."""
        stats = [(name, float(count), StatsAggregationMethod.SUM.value) for name, count in self._reached.items()]
        self._reached = dict.fromkeys(self._reached, 0)
        return stats

    def _play(self, action: ActionTuple, reward: Array, done: Array, interrupted: Array) -> None:
        kernel.decide(self.state, action.discrete, self._goal, self._rays, reward, done, interrupted, *self._seen)
        self._reached["Goal/Correct"] += int((done & (reward > 0)).sum())
        self._reached["Goal/Wrong"] += int((done & (reward < 0) & ~interrupted).sum())

    def _begin_in(self, areas: Array) -> None:
        kernel.begin(self.state, areas, self._goal, self._rays, *self._seen)
