"""PushBlock: a field with the goal along one side."""

from __future__ import annotations

from mlagents_envs.examples.drawing import GREEN, ORANGE, Drawing, floor
from mlagents_envs.examples.drawing import WALL as WALL_COLOR
from mlagents_envs.examples.look.look import Look, choose
from mlagents_envs.examples.look.planar import FLAT, cut, planar
from mlagents_envs.examples.pushblock import BLOCK_TAG, GOAL_TAG, WALL_TAG, PushBlock

COLORS = {BLOCK_TAG: ORANGE, GOAL_TAG: GREEN, WALL_TAG: WALL_COLOR}


def draw(env: PushBlock, area: int) -> Drawing:
    """Return an area as it looks now."""
    bodies = cut(cut(env.state.bodies[area], WALL_TAG), GOAL_TAG, to=FLAT)
    return planar(bodies, COLORS, floor(26, 26))


KEYS = {"up": choose(0, 1), "down": choose(0, 2), "right": choose(0, 3), "left": choose(0, 4),
        "q": choose(0, 5), "e": choose(0, 6)}  # fmt: skip
LOOK = Look(draw, (29.0, 29.0), KEYS)
