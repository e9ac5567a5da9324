"""The rules of PushBlockCollab, one area after another, compiled."""

from __future__ import annotations

import math

import numpy as np

from mlagents_envs.compiled import ORDINARY, compiled
from mlagents_envs.examples.engine import planar
from mlagents_envs.examples.engine.planar_numba import lift, rest, step, walk, widest_gap
from mlagents_envs.examples.engine.rng_numba import uniform
from mlagents_envs.examples.sensors.gridsensor_numba import survey

F = np.float32
AGENTS, BLOCKS = 3, 6
FIRST_BLOCK = AGENTS
GOAL = FIRST_BLOCK + BLOCKS
GRAVITY = F(1.5 * planar.GRAVITY)
FRICTION = F(planar.DEFAULT_FRICTION)  # between bodies
PUSH, TURN = F(3.0), F(math.radians(4.0))
SPREAD, FREE = 6.25, F(1.5)  # things begin this far from the middle, in a free square of twice that side
TRIES = 200  # to find one: where the field is too full, the last will do
DROP = F(1.0)  # height of the middle at which things begin
STEPS, LIMIT = 5, 5000  # physics steps of a decision, of an episode
COST = F(0.5 / LIMIT)  # of a physics step


@compiled()
def place(bodies, which, rng, i):
    """Put a body where no earlier one and not the goal is near, turned anyhow."""
    body = bodies[which]
    half_x, half_z = body.half_x, body.half_z
    body.half_x = body.half_z = FREE
    body.yaw = F(0.0)
    for _ in range(TRIES):
        rest(body, uniform(rng, i, -SPREAD, SPREAD), uniform(rng, i, -SPREAD, SPREAD))
        free = widest_gap(body, bodies[GOAL])[0] >= 0
        for other in range(which):
            free = free and widest_gap(body, bodies[other])[0] >= 0
        if free:
            break
    body.half_x, body.half_z = half_x, half_z
    body.yaw = uniform(rng, i, 0.0, 2.0 * math.pi)
    body.on = True
    lift(body, DROP - (body.high - body.low) / F(2.0))


@compiled()
def begin(state, who, grid, seen, felt):
    """Begin episodes in the areas `who`."""
    for i in who:
        for which in range(GOAL):
            place(state.bodies[i], which, state.rng, i)
        state.clock[i] = 0
        look(state.bodies[i], i, grid, seen, felt)


@compiled()
def decide(state, action, value, grid, group_reward, done, interrupted, seen, felt):
    """Simulate one decision of every agent; an area whose episode ends stands still.

    value: (blocks,) what each block in the goal is worth to the group.
    """
    for i in range(len(state.clock)):
        bodies, first = state.bodies[i], AGENTS * i
        mine = slice(first, first + AGENTS)
        for _ in range(STEPS):
            for k in range(AGENTS):
                walk(bodies[k], action[first + k, 0], PUSH, TURN)
            step(bodies, state.touched, state.contacts, GRAVITY, FRICTION)
            state.clock[i] += 1
            group_reward[mine] -= COST
            left = False
            for k in range(BLOCKS):
                block = bodies[FIRST_BLOCK + k]
                if state.touched[FIRST_BLOCK + k, GOAL]:
                    block.on = False
                    group_reward[mine] += value[k]
                left = left or block.on
            if not left:
                done[mine] = True
            elif state.clock[i] >= LIMIT:
                done[mine] = interrupted[mine] = True
            if done[first]:
                break
        look(bodies, i, grid, seen, felt)


@compiled(fastmath=ORDINARY)
def look(bodies, i, grid, seen, felt):
    """Write what the agents of an area see, and that they feel their own velocity."""
    for k in range(AGENTS):
        row, agent = AGENTS * i + k, bodies[k]
        seen[row] = F(0.0)
        survey(bodies, k, grid, F(1.0), seen[row])
        c, s = math.cos(agent.yaw), math.sin(agent.yaw)
        felt[row, 0] = c * agent.vx - s * agent.vz
        felt[row, 1] = agent.climb
        felt[row, 2] = s * agent.vx + c * agent.vz
