"""Worm: the segment with the eyes is its head."""

from __future__ import annotations

import numpy as np

from mlagents_envs.examples.drawing import PURPLE, Drawing
from mlagents_envs.examples.look.locomotion import locomotion
from mlagents_envs.examples.look.look import Look
from mlagents_envs.examples.worm import Worm

WIDTH = 9.0  # m, of the ground
EYES = np.array([[(-0.2, 0.2, 0.72), (0.16, 0.16, 0.16)], [(0.2, 0.2, 0.72), (0.16, 0.16, 0.16)]], np.float32)


def draw(env: Worm, area: int) -> Drawing:
    """Return an area as it looks now."""
    return locomotion(env, area, WIDTH, PURPLE, "segment0", EYES)


LOOK = Look(draw, (WIDTH + 1.0, WIDTH + 1.0), seconds=5 / 75, pitch=25.0)
