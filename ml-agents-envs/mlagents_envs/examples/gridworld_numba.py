"""The rules of GridWorld, one area after another, compiled.

Columns x and z (n, 1 + most goals): the agent's cell, then the pluses', then the exes'.
"""

from __future__ import annotations

import numpy as np

from mlagents_envs.compiled import compiled
from mlagents_envs.examples.engine.rng_numba import draw

F = np.float32
LIMIT = 100  # decisions of an episode
UP, DOWN, LEFT, RIGHT = 1, 2, 3, 4
WALL, PLUS, EX, AGENT, PLUS_SHADOW, EX_SHADOW, AGENT_SHADOW = range(7)  # shapes


@compiled()
def begin(fresh, rng, size, pluses, exes, x, z, goal, clock):
    """Begin an episode in each fresh area: everything on a cell of its own, and plus (0) or ex (1) as the goal."""
    for i in range(len(fresh)):
        if not fresh[i]:
            continue
        for k in range(1 + pluses[i] + exes[i]):
            taken = True
            while taken:
                x[i, k], z[i, k] = draw(rng, i, size[i]), draw(rng, i, size[i])
                taken = False
                for other in range(k):
                    taken = taken or (x[i, other] == x[i, k] and z[i, other] == z[i, k])
        goal[i] = draw(rng, i, 2)
        clock[i] = 0


@compiled()
def move(action, size, pluses, exes, x, z, goal, clock, reward, done, interrupted):
    """Move every agent by one cell, unless into a wall. Writes all of the last three."""
    for i in range(len(action)):
        to_x = x[i, 0] + (action[i] == RIGHT) - (action[i] == LEFT)
        to_z = z[i, 0] + (action[i] == UP) - (action[i] == DOWN)
        if 0 <= to_x < size[i] and 0 <= to_z < size[i]:
            x[i, 0], z[i, 0] = to_x, to_z
        clock[i] += 1
        reward[i], done[i], interrupted[i] = F(-0.01), False, False
        for k in range(1, 1 + pluses[i] + exes[i]):
            if x[i, k] == x[i, 0] and z[i, k] == z[i, 0]:
                found = 0 if k <= pluses[i] else 1
                reward[i], done[i] = F(1.0) if found == goal[i] else F(-1.0), True
        if clock[i] >= LIMIT and not done[i]:
            done[i] = interrupted[i] = True


@compiled(inline="always")
def put(thing, shape, x, z, scale):
    """Write one thing to paint."""
    thing[0], thing[1], thing[2], thing[3] = shape, x, z, scale


@compiled()
def arrange(size, pluses, exes, x, z, things, many, views):
    """Write what there is to paint: shadows, then the walls that they do not fall on, then what stands on the floor."""
    for i in range(len(size)):
        goals, middle, wide, k = pluses[i] + exes[i], F(0.5) * F(size[i] - 1), F(size[i]), 0
        for one in range(1 + goals):
            shape = AGENT_SHADOW if one == 0 else PLUS_SHADOW if one <= pluses[i] else EX_SHADOW
            put(things[i, k], shape, x[i, one], z[i, one], F(1.0))
            k += 1
        for side in (-1, 1):  # the camera sees exactly from the southern to the northern wall
            put(things[i, k], WALL, middle + F(side) * wide, middle, wide)
            k += 1
        for one in range(goals, -1, -1):  # the agent last, above the goal that it has reached
            shape = AGENT if one == 0 else PLUS if one <= pluses[i] else EX
            put(things[i, k], shape, x[i, one], z[i, one], F(1.0))
            k += 1
        many[i] = k
        views[i, 0], views[i, 1], views[i, 2] = middle, middle, wide
