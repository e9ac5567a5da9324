"""Walker: the visor shows where its head looks."""

from __future__ import annotations

import numpy as np

from mlagents_envs.examples.drawing import BLUE, Drawing
from mlagents_envs.examples.look.locomotion import locomotion
from mlagents_envs.examples.look.look import Look
from mlagents_envs.examples.walker import Walker

WIDTH = 5.0  # m, of the ground
EYES = np.array(
    [
        [(0.0, 0.03, 0.17), (0.3, 0.1, 0.14)],
    ],
    np.float32,
)


def draw(env: Walker, area: int) -> Drawing:
    """Return an area as it looks now."""
    return locomotion(env, area, WIDTH, BLUE, "head", EYES)


LOOK = Look(draw, (WIDTH + 1.0, WIDTH + 1.0), seconds=5 / 75, pitch=25.0)
