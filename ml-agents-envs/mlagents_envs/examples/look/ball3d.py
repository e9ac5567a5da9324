"""3DBall: a platform high above the floor, and the ball on it."""

from __future__ import annotations

import numpy as np

from mlagents_envs.examples.ball3d import Ball3D
from mlagents_envs.examples.drawing import BLUE, ORANGE, Drawing, floor, shapes
from mlagents_envs.examples.look.look import Look, steer

DEPTH = -4.5  # where the floor lies
EDGE = 5.0


def draw(env: Ball3D, area: int) -> Drawing:
    """Return an area as it looks now."""
    state, radius = env.state[area], float(env.radius[area])
    w, x, y, z = state[:4]
    platform = shapes((0, 0, 0), size=(EDGE, EDGE, EDGE), color=BLUE, quaternion=(x, y, z, w))
    ball = shapes(state[4:7], size=(2 * radius,) * 3, color=ORANGE)
    return Drawing(np.concatenate([floor(8, 8, top=DEPTH), platform]), ball, np.zeros((1, 3), np.float32))


KEYS = {"left": steer(0, 1.0), "right": steer(0, -1.0), "up": steer(1, 1.0), "down": steer(1, -1.0)}
LOOK = Look(draw, (10.0, 10.0), KEYS, pitch=32.0)
