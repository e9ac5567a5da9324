"""Sorter: touch numbered tiles in ascending order.

A round room with twenty slots along its wall; in some of them, drawn anew, stand tiles with different numbers of 1 to
20: one to `num_tiles` of them. The agent, a cube of 10 kg that begins in the middle, decides every 5 physics steps of
0.02 s. The lowest number that was not touched yet gives 1, and after the last one the episode ends; any other but those
touched gives -1 and ends it too. Each physics step costs 1/5000, and after 5000 the episode is interrupted.
"""

from __future__ import annotations

import numpy as np

from mlagents_envs.base_env import (
    ActionSpec,
    ActionTuple,
    BehaviorSpec,
    DimensionProperty,
    ObservationSpec,
    ObservationType,
)
from mlagents_envs.examples import sorter_numba as kernel
from mlagents_envs.examples.engine.planar import DEFAULT_FRICTION, body
from mlagents_envs.examples.engine.planar_env import PlanarEnv
from mlagents_envs.examples.example import Array, vector_sensor

TILE = 0  # tag
FLOOR = -0.208  # m
WALLS, ROOM = 24, 22.0  # flat walls of a room that is round in Unity, and m from its middle to them
TILE_WIDTH = kernel.SEEN + 1  # numbers for a tile: one-hot, position, visited


def bodies() -> list[Array]:
    """Return what is in a room: the agent, tiles, walls."""
    around = 2 * np.pi * np.arange(WALLS) / WALLS
    return [
        body(heights=(FLOOR, FLOOR + 1.0), mass=10.0, drag=4.0, friction=DEFAULT_FRICTION),
        *(body(half=(1.75, 0.76), heights=(-0.3, 3.98), tag=TILE) for _ in range(kernel.TILES)),
        *(
            body((ROOM + 0.5) * np.sin(yaw), (ROOM + 0.5) * np.cos(yaw), yaw=yaw, half=(3.2, 0.5), heights=(0.0, 3.0))
            for yaw in around
        ),
    ]


class Sorter(PlanarEnv):
    """Actions: 1 forward, 2 back; 1 to the right, 2 to the left, instead of that; 1 turn left, 2 turn right.

    Observations: for each tile a row with its number (one-hot), its position from the agent in units of 20 m, and
    whether it was visited; seven constants and the agent's velocity, x y z in its own frame; its position and its
    forward direction, x z each.
    tiles: (n, TILES) int64, HIDDEN, SHOWN or VISITED for each tile, see `sorter_numba`.
    """

    NAME = "Sorter"
    AREAS = 8
    FACING = np.pi
    SPEC = BehaviorSpec(
        [
            ObservationSpec(
                (kernel.TILES, TILE_WIDTH),
                (DimensionProperty.VARIABLE_SIZE, DimensionProperty.NONE),
                ObservationType.DEFAULT,
                "BufferSensor",
            ),
            vector_sensor(10, "PhysicsBody:Agent"),
            vector_sensor(8, "StackingSensor_size2_VectorSensor_size4"),
        ],
        ActionSpec.create_discrete((3, 3, 3)),
    )
    PARAMETERS = {"num_tiles": (20.0, 1.0, 20.0)}

    def __init__(self, *, areas: int | None = None, seed: int = 0, renew_ids: bool = False) -> None:
        super().__init__(bodies(), moving=1, areas=areas, seed=seed, renew_ids=renew_ids)
        self.tiles = np.zeros((self.n, kernel.TILES), np.int64)  # what each tile is
        self._seen[1][:, 6] = 1.0  # w of the quaternion of a body as it sees itself; the rest is zero

    def _play(self, action: ActionTuple, reward: Array, done: Array, interrupted: Array) -> None:
        kernel.decide(self.state, action.discrete, self.tiles, reward, done, interrupted, *self._seen)

    def _begin_in(self, areas: Array) -> None:
        most = self._draw("num_tiles", len(areas)).astype(np.int64)
        kernel.begin(self.state, areas, most, self.tiles, *self._seen)
