"""Pyramids: press a switch, find the pyramid of bricks that appears, knock it over, touch the gold from its top.

An arena of 99 x 99 with walls that part it into nine cells. In cells of their own begin the agent, a cube of 25 kg, the
switch, a cube of 4 that is pinned but spins, and six pyramids of stone; the ninth is for the bricks.
An agent decides every 5 physics steps of 0.02 s. The gold gives 2, which takes the place of what was earned since the
last decision, and ends the episode; each physics step costs 1/5000, and after 5000 the episode is interrupted.

Pyramids are simplified: those of stone never move, and one of bricks that is touched at its foot falls apart at random,
its gold landing near its middle. Bricks that lie around can be pushed, and do not hinder each other.
"""

from __future__ import annotations

import numpy as np

from mlagents_envs.base_env import ActionSpec, ActionTuple, BehaviorSpec
from mlagents_envs.examples import pyramids_numba as kernel
from mlagents_envs.examples.engine.planar import DEFAULT_FRICTION, body
from mlagents_envs.examples.engine.planar_env import PlanarEnv
from mlagents_envs.examples.example import Array, vector_sensor
from mlagents_envs.examples.sensors.rays import RaySensor, rays

BRICK_TAG, WALL_TAG, GOLD_TAG, OFF_TAG, ON_TAG, STONE_TAG = range(6)
LEVEL = RaySensor("RayPerceptionSensor", 6, 3, 70.0, 35.0)
RISING = RaySensor("RayPerceptionSensor1", 6, 3, 65.0, 35.0, end=5.0)
STEEP = RaySensor("RayPerceptionSensor2", 6, 3, 75.0, 35.0, end=10.0)

CROSS = 16.55  # how far from the middle, along x and z, the four crosses of walls stand
CROSSES = [
    (x, z, *half) for x in (-CROSS, CROSS) for z in (-CROSS, CROSS) for half in ((7.575, 0.5), (0.5, 7.5))
]  # fmt: skip
SIDES = [
    (16.558, -42.248, 0.5, 7.25), (-16.442, -42.248, 0.5, 7.25), (16.442, 42.248, 0.5, 7.25),
    (-16.558, 42.248, 0.5, 7.25), (-42.248, -16.558, 7.25, 0.5), (-42.248, 16.442, 7.25, 0.5),
    (42.248, 16.558, 7.25, 0.5), (42.248, -16.442, 7.25, 0.5),
]  # fmt: skip
OUTER = [(50.0, 0.0, 0.5, 50.5), (-50.0, 0.0, 0.5, 50.5), (0.25, 49.6, 50.5, 0.5), (0.25, -50.1, 50.5, 0.5)]


class Pyramids(PlanarEnv):
    """Action: 0 nothing, 1 forward, 2 back, 3 turn right, 4 turn left. Feels the switch and its own velocity, x y z."""

    NAME = "Pyramids"
    AREAS = 16
    SPEC = BehaviorSpec(
        [LEVEL.spec, RISING.spec, STEEP.spec, vector_sensor(4, "VectorSensor_size4")],
        ActionSpec.create_discrete((5,)),
    )

    def __init__(self, *, areas: int | None = None, seed: int = 0, renew_ids: bool = False) -> None:
        super().__init__(bodies(), moving=2, areas=areas, seed=seed, renew_ids=renew_ids)
        self._landing = np.zeros(self.n, np.int32)  # physics steps since the brick pyramid was bumped
        self._rays = rays(LEVEL, RISING, STEEP)
        self._seen = [np.zeros((self.n, LEVEL.size + RISING.size + STEEP.size), np.float32), self._seen[-1]]

    def set_seed(self, seed: int) -> None:
        """Seed the random numbers of every area; takes effect at the next reset."""
        super().set_seed(seed)
        self._cells = np.tile(np.arange(9), (self.n, 1))  # that of agent, switch, bricks and stones

    def _begin_in(self, areas: Array) -> None:
        kernel.begin(self.state, areas, self._cells, self._landing, self._rays, *self._seen)

    def _play(self, action: ActionTuple, reward: Array, done: Array, interrupted: Array) -> None:
        kernel.decide(
            self.state, action.discrete, self._cells, self._landing, self._rays, reward, done, interrupted, *self._seen
        )  # fmt: skip

    def _see(self) -> list[Array]:
        sight, feeling = self._seen
        return [*(part.copy() for part in np.split(sight, 3, axis=1)), feeling.copy()]


def bodies() -> list[Array]:
    """Return what is in an area, in the order that the kernels know."""
    switch = body(
        half=(2.0, 2.0), heights=(0.0, 4.0), mass=1.0, turns=True, friction=DEFAULT_FRICTION, tag=OFF_TAG, pinned=True
    )
    stones = [
        body(half=(hx, hz), heights=(low, high), tag=STONE_TAG, solid=low == 0)
        for _ in range(kernel.STONES)
        for _, _, hx, hz, low, high in kernel.TIER.tolist()
    ]
    return [
        body(mass=25.0, drag=2.0, friction=DEFAULT_FRICTION),
        switch,
        *(body(x, z, half=(hx, hz), heights=(-2.7, 4.52), tag=WALL_TAG) for x, z, hx, hz in CROSSES + SIDES),
        *(body(x, z, half=(hx, hz), heights=(-10.0, 5.0), tag=WALL_TAG) for x, z, hx, hz in OUTER),
        *stones,
        *(body(tag=BRICK_TAG, mass=2.0, turns=True, friction=DEFAULT_FRICTION) for _ in range(kernel.LOOSE)),
        body(half=(1.0, 1.0), heights=(0.0, 2.0), tag=GOLD_TAG, solid=False),
    ]
