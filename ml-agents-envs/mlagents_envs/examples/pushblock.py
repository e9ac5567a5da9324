"""PushBlock: push a block into the goal.

A field of 25 x 25 between walls 2 high; the goal is a strip along its side at z = -12.5. The agent, a cube of 10 kg,
and the block, 2 x 0.75 x 2 and of 10 kg too, slide and are never turned by what they touch.
An agent decides every 5 physics steps of 0.02 s. The block touching the goal ends the episode with +5; each physics
step costs 1/5000, and after 5000 the episode is interrupted.

In Unity all of it also turns about the middle by quarters, which no observation shows.
"""

from __future__ import annotations

import numpy as np

from mlagents_envs.base_env import ActionSpec, ActionTuple, BehaviorSpec
from mlagents_envs.examples import pushblock_numba as kernel
from mlagents_envs.examples.engine.planar import DEFAULT_FRICTION, body
from mlagents_envs.examples.engine.planar_env import PlanarEnv
from mlagents_envs.examples.example import Array
from mlagents_envs.examples.sensors.rays import RaySensor, rays

BLOCK_TAG, GOAL_TAG, WALL_TAG = range(3)
# the higher one just grazes the walls, which is all it sees
HIGH = RaySensor("OffsetRayPerceptionSensor", 3, 3, 90.0, 12.0, start=1.4999, end=1.4999, stack=3)
LOW = RaySensor("RayPerceptionSensor", 3, 3, 90.0, 12.0, stack=3)
WALLS = ((12.75, 0.0, 0.25, 13.0), (-12.75, 0.0, 0.25, 13.0), (0.0, 12.75, 12.5, 0.25), (0.0, -12.75, 12.5, 0.25))


def bodies() -> list[Array]:
    """Return what is in an area, in the order that the kernels know."""
    return [
        body(mass=10.0, drag=4.0),
        body(half=(1.0, 1.0), heights=(0.0, 0.75), mass=10.0, tag=BLOCK_TAG),
        body(0.0, -10.5, half=(12.5, 2.15), heights=(-1.505, 1.495), tag=GOAL_TAG),
        *(body(x, z, half=(hx, hz), heights=(-0.5, 1.5), tag=WALL_TAG) for x, z, hx, hz in WALLS),
    ]


class PushBlock(PlanarEnv):
    """Action: 0 nothing, 1 forward, 2 back, 3 turn right, 4 turn left, 5 to the left, 6 to the right."""

    NAME = "PushBlock"
    AREAS = 32
    FACING = np.pi
    SPEC = BehaviorSpec([HIGH.spec, LOW.spec], ActionSpec.create_discrete((7,)))
    PARAMETERS = {
        "block_scale": (2.0, 0.5, 4.0),
        "block_drag": (0.5, 0.0, 2000.0),
        "dynamic_friction": (0.0, 0.0, 1.0),  # of the ground
        "static_friction": (0.0, 0.0, 1.0),
    }

    def __init__(self, *, areas: int | None = None, seed: int = 0, renew_ids: bool = False) -> None:
        super().__init__(bodies(), moving=2, areas=areas, seed=seed, renew_ids=renew_ids)
        self._rays = rays(HIGH), rays(LOW)

    def _play(self, action: ActionTuple, reward: Array, done: Array, interrupted: Array) -> None:
        kernel.decide(self.state, action.discrete, *self._rays, reward, done, interrupted, *self._seen)

    def _begin_in(self, areas: Array) -> None:
        n = len(areas)
        friction, stiction = (
            (DEFAULT_FRICTION + self._draw(f"{kind}_friction", n)) / 2 for kind in ("dynamic", "static")
        )
        scale, drag = self._draw("block_scale", n), self._draw("block_drag", n)
        kernel.begin(self.state, areas, scale, drag, friction, stiction, *self._rays, *self._seen)
