"""What the camera of 3DBall sees, compiled."""

from __future__ import annotations

import math

import numpy as np

from mlagents_envs.compiled import compiled
from mlagents_envs.examples.sensors.camera_numba import BLUE, agent_cube, clear, develop, rotation, scaled, sphere

F = np.float32
DOWN, ACROSS = F(math.sin(math.radians(30.0))), F(math.cos(math.radians(30.0)))
NIL = F(0.0)
VIEW = (
    (NIL, F(7.0), F(-8.0)),  # where the camera is
    (F(1.0), NIL, NIL), (NIL, ACROSS, DOWN), (NIL, -DOWN, ACROSS),  # right, up, forward
)  # fmt: skip
EDGE = F(5.0)  # of the platform
BLACK, RED = (0, 0, 0), (222, 56, 43)


@compiled()
def look(state, radius, wanted, canvas, past, seen):
    """Let wanted agents see their last pictures, the newest last, and remember the newest.

    state: (n, 13) as in 3DBall; radius: (n,) of the ball, in m; past: (n, frames - 1, 3, h, w) uint8, the earlier
    pictures; seen: (n, 3 frames, h, w) float32.
    """
    frames = past.shape[1]
    for i in range(len(state)):
        if not wanted[i]:
            continue
        picture(canvas, state[i], radius[i])
        for k in range(frames):
            develop(past[i, k], seen[i, 3 * k : 3 * k + 3])
        develop(canvas.image, seen[i, 3 * frames :])
        for k in range(frames - 1):
            past[i, k] = past[i, k + 1]
        past[i, frames - 1] = canvas.image


@compiled()
def picture(canvas, state, radius):
    """Paint the platform, whose face looks at the camera, and the ball."""
    clear(canvas, BLACK)
    right, up, forward = rotation(state[0], state[1], state[2], state[3])
    axes = scaled(right, F(-1.0)), up, scaled(forward, F(-1.0))
    agent_cube(canvas, VIEW, (NIL, NIL, NIL), axes, EDGE, BLUE)
    sphere(canvas, VIEW, (state[4], state[5], state[6]), radius, RED)
