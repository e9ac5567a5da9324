"""Hallway: O is orange, X is purple."""

from __future__ import annotations

from mlagents_envs.examples.drawing import ORANGE, PURPLE, Drawing, floor
from mlagents_envs.examples.drawing import WALL as WALL_COLOR
from mlagents_envs.examples.hallway import O_GOAL, O_SYMBOL, WALL, X_GOAL, X_SYMBOL, Hallway
from mlagents_envs.examples.look.look import Look, choose
from mlagents_envs.examples.look.planar import cut, planar

COLORS = {O_GOAL: ORANGE, O_SYMBOL: ORANGE, X_GOAL: PURPLE, X_SYMBOL: PURPLE, WALL: WALL_COLOR}


def draw(env: Hallway, area: int) -> Drawing:
    """Return an area as it looks now."""
    return planar(cut(env.state.bodies[area], WALL, to=1.5), COLORS, floor(20, 50, top=0.45))


KEYS = {"up": choose(0, 1), "down": choose(0, 2), "right": choose(0, 3), "left": choose(0, 4)}
LOOK = Look(draw, (24.0, 54.0), KEYS, seconds=0.12, yaw=-60.0)
