"""Crawler: its eyes show where its body looks."""

from __future__ import annotations

import numpy as np

from mlagents_envs.examples.crawler import Crawler
from mlagents_envs.examples.drawing import ORANGE, Drawing
from mlagents_envs.examples.look.locomotion import locomotion
from mlagents_envs.examples.look.look import Look

WIDTH = 9.0  # m, of the ground
EYES = np.array([[(-0.22, 0.18, 0.4), (0.16, 0.16, 0.16)], [(0.22, 0.18, 0.4), (0.16, 0.16, 0.16)]], np.float32)


def draw(env: Crawler, area: int) -> Drawing:
    """Return an area as it looks now."""
    return locomotion(env, area, WIDTH, ORANGE, "body", EYES)


LOOK = Look(draw, (WIDTH + 1.0, WIDTH + 1.0), seconds=5 / 75, pitch=25.0)
