"""Basic: a line of tiles with two goals on it."""

from __future__ import annotations

import numpy as np

from mlagents_envs.examples.basic import LARGE_GOAL, SIZE, SMALL_GOAL, START, Basic
from mlagents_envs.examples.drawing import BLUE, FLOOR, GREEN, Drawing, faces, shapes
from mlagents_envs.examples.look.look import Look, choose

GOALS = ((SMALL_GOAL, 0.5), (LARGE_GOAL, 0.9))  # place and height


def draw(env: Basic, area: int) -> Drawing:
    """Return an area as it looks now."""
    tiles = shapes([(x - START, -0.1, 0) for x in range(SIZE + 1)], size=(0.94, 0.2, 0.94), color=FLOOR)
    goals = shapes(
        [(x - START, size / 2, 0) for x, size in GOALS], size=[(size,) * 3 for _, size in GOALS], color=GREEN
    )
    agent = np.array([[env.position[area] - START, 0.4, 0]], np.float32)
    body = shapes(agent, size=(0.8, 0.8, 0.8), color=BLUE)
    return Drawing(np.concatenate([tiles, goals, body, faces(agent, np.array([np.pi]), width=0.8)]), agents=agent)


LOOK = Look(draw, (24.0, 3.0), {"left": choose(0, 1), "right": choose(0, 2)}, seconds=0.15, yaw=0.0)
