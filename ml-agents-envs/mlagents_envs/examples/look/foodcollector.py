"""FoodCollector: good food is green, bad food red; an agent that is frozen turns pale."""

from __future__ import annotations

from mlagents_envs.examples.drawing import GREEN, RED, Color, Drawing, Look, choose, floor, steer
from mlagents_envs.examples.drawing import WALL as WALL_COLOR
from mlagents_envs.examples.foodcollector import FLOOR, FoodCollector
from mlagents_envs.examples.foodcollector_numba import BAD, FROZEN, GOOD, WALL
from mlagents_envs.examples.look.planar import cut, planar

ICE: Color = (0.72, 0.86, 0.95)
COLORS = {GOOD: GREEN, BAD: RED, FROZEN: ICE, WALL: WALL_COLOR}


def draw(env: FoodCollector, area: int) -> Drawing:
    """Return an area as it looks now."""
    bodies = cut(env._world.bodies[area], WALL, to=2.0)
    return planar(bodies, COLORS, floor(102, 102, top=FLOOR), agents=range(env.PER_AREA))


KEYS = {"up": steer(0, 1.0), "down": steer(0, -1.0), "e": steer(1, 1.0), "q": steer(1, -1.0),
        "left": steer(2, 1.0), "right": steer(2, -1.0), "space": choose(0, 1)}  # fmt: skip
LOOK = Look(draw, (110.0, 110.0), KEYS)
