"""WallJump: the goal is flat, so that one sees who stands in it."""

from __future__ import annotations

import numpy as np

from mlagents_envs.examples.drawing import GREEN, ORANGE, Drawing, floor
from mlagents_envs.examples.drawing import WALL as WALL_COLOR
from mlagents_envs.examples.look.look import Look, choose
from mlagents_envs.examples.look.planar import FLAT, planar
from mlagents_envs.examples.walljump import BLOCK_TAG, GOAL_TAG, WALL_TAG, WallJump
from mlagents_envs.examples.walljump_numba import GOAL, GROUND, MIDDLE_Z, WALL

COLORS = {BLOCK_TAG: ORANGE, GOAL_TAG: GREEN, WALL_TAG: WALL_COLOR}
EDGE = 21.0  # m, of the platform


def draw(env: WallJump, area: int) -> Drawing:
    """Return an area as it looks now."""
    bodies = env.state.bodies[area].copy()
    bodies["z"] -= MIDDLE_Z
    bodies["low"][GOAL], bodies["high"][GOAL] = GROUND, GROUND + FLAT
    bodies["low"][WALL] = np.minimum(GROUND, bodies["high"][WALL])  # the rest is below the ground
    return planar(bodies, COLORS, floor(EDGE, EDGE, top=float(GROUND)))


KEYS = {"up": choose(0, 1), "down": choose(0, 2), "left": choose(1, 1), "right": choose(1, 2),
        "q": choose(2, 1), "e": choose(2, 2), "space": choose(3, 1)}  # fmt: skip
LOOK = Look(draw, (25.0, 25.0), KEYS, yaw=-50.0, pitch=35.0)
