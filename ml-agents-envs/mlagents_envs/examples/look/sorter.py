"""Sorter: the larger a tile's number, the higher it stands and the redder it is; those visited are gray."""

from __future__ import annotations

import numpy as np

from mlagents_envs.examples.drawing import FLOOR as FLOOR_COLOR
from mlagents_envs.examples.drawing import RED, STONE, WALL, YELLOW, Drawing, about_y, floor, shapes
from mlagents_envs.examples.look.look import Look, choose
from mlagents_envs.examples.look.planar import planar
from mlagents_envs.examples.sorter import FLOOR, Sorter
from mlagents_envs.examples.sorter_numba import FIRST_TILE, TILES, VISITED

HEIGHTS = np.linspace(0.6, 4.2, TILES)
COLORS = np.linspace(YELLOW, RED, TILES)


def draw(env: Sorter, area: int) -> Drawing:
    """Return an area as it looks now."""
    bodies = env.state.bodies[area]
    tiles, walls = bodies[FIRST_TILE : FIRST_TILE + TILES], bodies[FIRST_TILE + TILES :]
    at = np.stack([tiles["x"], HEIGHTS / 2 + FLOOR, tiles["z"]], axis=1)
    size = np.stack([np.full(TILES, 3.5), HEIGHTS, np.full(TILES, 1.52)], axis=1)
    color = np.where(env.tiles[area, :, None] == VISITED, STONE, COLORS)
    numbers = shapes(at, size=size, color=color, quaternion=about_y(tiles["yaw"]))[tiles["on"]]
    around = shapes(
        np.stack([walls["x"], np.full(len(walls), 0.3), walls["z"]], axis=1),
        size=(6.4, 1.0, 1.0), color=WALL, quaternion=about_y(walls["yaw"]),
    )  # fmt: skip
    ground = floor(46, 46, top=FLOOR, color=FLOOR_COLOR)
    return planar(bodies[:1], {}, np.concatenate([ground, numbers, around]))


KEYS = {"up": choose(0, 1), "down": choose(0, 2), "e": choose(1, 1), "q": choose(1, 2),
        "left": choose(2, 1), "right": choose(2, 2)}  # fmt: skip
LOOK = Look(draw, (50.0, 50.0), KEYS, pitch=48.0)
