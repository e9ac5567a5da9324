"""FoodCollector: good food is green, bad food red; a laser is a beam, and an agent that is frozen turns pale."""

from __future__ import annotations

import numpy as np

from mlagents_envs.examples.drawing import GREEN, RED, Array, Drawing, about_y, floor, shapes
from mlagents_envs.examples.drawing import WALL as WALL_COLOR
from mlagents_envs.examples.foodcollector import FLOOR, FoodField
from mlagents_envs.examples.foodcollector_numba import BAD, EDGE, FROZEN, GOOD, REACH, WALL
from mlagents_envs.examples.look.look import Look, choose, steer
from mlagents_envs.examples.look.planar import cut, planar

ICE = (0.72, 0.86, 0.95)
BEAM = (1.0, 0.36, 0.68)
COLORS = {GOOD: GREEN, BAD: RED, FROZEN: ICE, WALL: WALL_COLOR}
THIN = 0.3  # m, edges of a beam; what it meets is up to 2 m off its middle


def draw(env: FoodField, area: int) -> Drawing:
    """Return an area as it looks now."""
    bodies, rows = env.state.bodies[area], slice(area * env.PER_AREA, (area + 1) * env.PER_AREA)
    agents = bodies[: env.PER_AREA]
    lasers = beams(agents, env.shooting[rows] & (agents["tag"] != FROZEN))
    ground = np.concatenate([floor(102, 102, top=FLOOR), lasers])
    return planar(cut(bodies, WALL, to=2.0), COLORS, ground, agents=range(env.PER_AREA))


def beams(agents: Array, on: Array) -> Array:
    """Return (k,) SHAPE, the lasers of (k,) BODY, which end at the walls; one that is not on hides inside its agent."""
    ahead = np.stack([np.sin(agents["yaw"]), np.cos(agents["yaw"])], axis=1)
    place = np.stack([agents["x"], agents["z"]], axis=1)
    free = (EDGE - np.sign(ahead) * place) / np.maximum(np.abs(ahead), 1e-6)
    length = np.where(on, np.clip(free.min(axis=1), THIN, REACH), THIN)
    middle = place + ahead * np.where(on, length / 2, 0)[:, None]
    position = np.stack([middle[:, 0], (agents["low"] + agents["high"]) / 2, middle[:, 1]], axis=1)
    size = np.stack([np.full(len(agents), THIN), np.full(len(agents), THIN), length], axis=1)
    return shapes(position, size=size, color=BEAM, quaternion=about_y(agents["yaw"]))


KEYS = {"up": steer(0, 1.0), "down": steer(0, -1.0), "e": steer(1, 1.0), "q": steer(1, -1.0),
        "left": steer(2, 1.0), "right": steer(2, -1.0), "space": choose(0, 1)}  # fmt: skip
LOOK = Look(draw, (110.0, 110.0), KEYS)
