"""WallJump: get over a wall to the goal behind it; where the wall is too high for a jump, push a block to it first.

A platform of 21 x 21 without a rail, with a wall across, a block of 3 x 2 x 3 that hovers just above the ground, and
the goal, a space of 4 x 5 x 4 on the far side. In each episode the wall is gone (no_wall_height), small
(small_wall_height) or, in three of five, big (big_wall_height); half of it is below the middle of the ground. An agent
has the behavior SmallWallJump before the first two and BigWallJump before a big one.

The agent, a cube of 25 kg, decides every 5 physics steps of 0.02 s. Standing in the goal gives 1, agent or block beyond
the platform's edge -1; each takes the place of what was earned since the last decision and ends the episode. Each
physics step costs 0.0005, and after 2000 the episode is interrupted.

Physics is planar but for the agent's height. Agent, block and wall meet with those sides that overlap least, as in
Unity, so that an agent stands on what it comes down on.
"""

from __future__ import annotations

import numpy as np

from mlagents_envs.base_env import ActionSpec, ActionTuple, BehaviorSpec
from mlagents_envs.examples import walljump_numba as kernel
from mlagents_envs.examples.engine.planar import body
from mlagents_envs.examples.engine.planar_env import PlanarEnv
from mlagents_envs.examples.example import Array, vector_sensor
from mlagents_envs.examples.sensors.rays import RaySensor, rays

WALL_TAG, GOAL_TAG, BLOCK_TAG = range(3)
HIGH = RaySensor("OffsetRayPerceptionSensor", 3, 3, 90.0, 20.0, start=2.5, end=5.0, stack=6)
LOW = RaySensor("RayPerceptionSensor", 3, 3, 90.0, 20.0, stack=6)
FEELING = vector_sensor(24, "StackingSensor_size6_VectorSensor_size4")
HIGHEST = 20.0  # wall


def bodies() -> list[Array]:
    """Return what is in an area, in the order that the kernels know."""
    return [
        body(heights=(kernel.GROUND, kernel.GROUND + 1.0), mass=25.0, turns=True, drag=2.0),
        body(half=(1.5, 1.5), heights=(0.5, 2.5), mass=10.0, drag=1.0, tag=BLOCK_TAG),
        body(0.0, -1.98, half=(10.0, 0.75), tag=WALL_TAG),
        body(6.37, 2.93, half=(2.0, 2.0), heights=(0.49, 5.49), tag=GOAL_TAG, solid=False),
    ]


class WallJump(PlanarEnv):
    """Four branches: forward, back; turn left, right; to the left, right; jump. 0 is nothing in all of them.

    Feels where it is, x y z from the ground's middle in units of 20 m, and whether it could jump.
    """

    NAME = "WallJump"
    AREAS = 24
    FACING = np.pi
    BEHAVIORS = ("SmallWallJump?team=0", "BigWallJump?team=0")
    SPEC = BehaviorSpec([HIGH.spec, LOW.spec, FEELING], ActionSpec.create_discrete((3, 3, 3, 2)))
    PARAMETERS = {
        "no_wall_height": (0.0, 0.0, HIGHEST),
        "small_wall_height": (4.0, 0.0, HIGHEST),
        "big_wall_height": (8.0, 0.0, HIGHEST),
    }

    def __init__(self, *, areas: int | None = None, seed: int = 0, renew_ids: bool = False) -> None:
        super().__init__(bodies(), moving=2, areas=areas, seed=seed, renew_ids=renew_ids)
        self._jump = np.zeros(self.n, kernel.JUMP)
        self._rays = rays(HIGH), rays(LOW)

    def _play(self, action: ActionTuple, reward: Array, done: Array, interrupted: Array) -> None:
        kernel.decide(self.state, action.discrete, self._jump, *self._rays, reward, done, interrupted, *self._seen)

    def _begin_in(self, areas: Array) -> None:
        wall = kernel.choose_walls(self.state, areas)  # 0 none, 1 small, 2 big
        height = np.zeros(len(areas))
        for kind, name in enumerate(self.PARAMETERS):
            if (such := wall == kind).any():
                height[such] = self._draw(name, int(such.sum()))
        self._behavior_index[areas] = wall == 2
        kernel.begin(self.state, areas, height, self._jump, *self._rays, *self._seen)
