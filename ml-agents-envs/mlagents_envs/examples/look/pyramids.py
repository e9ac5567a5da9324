"""Pyramids: the switch is red, and green once it was pressed."""

from __future__ import annotations

from mlagents_envs.examples.drawing import BRICK, GREEN, RED, STONE, YELLOW, Drawing, floor
from mlagents_envs.examples.drawing import WALL as WALL_COLOR
from mlagents_envs.examples.look.look import Look, choose
from mlagents_envs.examples.look.planar import cut, planar
from mlagents_envs.examples.pyramids import BRICK_TAG, GOLD_TAG, OFF_TAG, ON_TAG, STONE_TAG, WALL_TAG, Pyramids

COLORS = {BRICK_TAG: BRICK, WALL_TAG: WALL_COLOR, GOLD_TAG: YELLOW, OFF_TAG: RED, ON_TAG: GREEN, STONE_TAG: STONE}


def draw(env: Pyramids, area: int) -> Drawing:
    """Return an area as it looks now."""
    return planar(cut(env.state.bodies[area], WALL_TAG), COLORS, floor(101, 101))


KEYS = {"up": choose(0, 1), "down": choose(0, 2), "right": choose(0, 3), "left": choose(0, 4)}
LOOK = Look(draw, (110.0, 110.0), KEYS)
