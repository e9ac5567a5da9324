"""PushBlockCollab: the heavier a block, the darker."""

from __future__ import annotations

from mlagents_envs.examples.drawing import BRICK, GREEN, ORANGE, YELLOW, Drawing, floor
from mlagents_envs.examples.drawing import WALL as WALL_COLOR
from mlagents_envs.examples.look.look import Look, choose
from mlagents_envs.examples.look.planar import FLAT, cut, planar
from mlagents_envs.examples.pushblock_collab import GOAL, LARGE, SMALL, VERY_LARGE, WALL, PushBlockCollab

COLORS = {WALL: WALL_COLOR, GOAL: GREEN, SMALL: YELLOW, LARGE: ORANGE, VERY_LARGE: BRICK}


def draw(env: PushBlockCollab, area: int) -> Drawing:
    """Return an area as it looks now."""
    bodies = cut(cut(env.state.bodies[area], WALL), GOAL, to=FLAT)
    return planar(bodies, COLORS, floor(26, 26), agents=range(env.PER_AREA))


KEYS = {"up": choose(0, 1), "down": choose(0, 2), "right": choose(0, 3), "left": choose(0, 4),
        "q": choose(0, 5), "e": choose(0, 6)}  # fmt: skip
LOOK = Look(draw, (29.0, 29.0), KEYS)
