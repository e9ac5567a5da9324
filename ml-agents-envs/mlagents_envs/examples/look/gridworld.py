"""GridWorld: pluses and exes on cells; what hovers over the agent has the color of the goal that is meant."""

from __future__ import annotations

import numpy as np

from mlagents_envs.examples.drawing import BLUE, GREEN, RED, WALL, Array, Drawing, about_y, floor, shapes
from mlagents_envs.examples.gridworld import GridWorld
from mlagents_envs.examples.look.look import Look, choose

SIZE = 10.0  # m, edge of the floor, however many cells it has


def draw(env: GridWorld, area: int) -> Drawing:
    """Return an area as it looks now."""
    cells, pluses = int(env.size[area]), int(env.pluses[area])
    scale = SIZE / cells
    many = 1 + pluses + int(env.exes[area])
    at = np.stack([env.x[area, :many], np.zeros(many), env.z[area, :many]], axis=1) * scale
    at += ((scale - SIZE) / 2, scale * 0.375, (scale - SIZE) / 2)
    goal = GREEN if env.goal[area] == 0 else RED
    over = shapes(at[0] + (0, scale * 0.7, 0), size=(scale * 0.3,) * 3, color=goal)
    agent = shapes(at[0], size=(scale * 0.75,) * 3, color=BLUE)
    crosses = [*(_cross(it, scale, GREEN, 0.0) for it in at[1 : 1 + pluses]),
               *(_cross(it, scale, RED, np.pi / 4) for it in at[1 + pluses :])]  # fmt: skip
    edge = SIZE / 2 + 0.2
    walls = shapes(
        [(0, 0.2, edge), (0, 0.2, -edge), (edge, 0.2, 0), (-edge, 0.2, 0)],
        size=[(SIZE + 0.8, 0.8, 0.4)] * 2 + [(0.4, 0.8, SIZE)] * 2, color=WALL,
    )  # fmt: skip
    return Drawing(np.concatenate([floor(SIZE, SIZE), walls, agent, *crosses]), over, at[:1].astype(np.float32))


def _cross(at: Array, scale: float, color: tuple[float, float, float], yaw: float) -> Array:
    bars = np.array([(0.9, 0.75, 0.2), (0.2, 0.75, 0.9)]) * scale
    return shapes(at, size=bars, color=color, quaternion=about_y(yaw))


KEYS = {"up": choose(0, 1), "down": choose(0, 2), "left": choose(0, 3), "right": choose(0, 4)}
LOOK = Look(draw, (13.0, 13.0), KEYS, seconds=0.2, yaw=0.0, pitch=58.0)
