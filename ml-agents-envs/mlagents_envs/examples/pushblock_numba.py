"""The rules of PushBlock, one area after another, compiled."""

from __future__ import annotations

import math

import numpy as np

from mlagents_envs.compiled import compiled
from mlagents_envs.examples.engine import planar
from mlagents_envs.examples.engine.planar_numba import lift, rest, step, walk
from mlagents_envs.examples.engine.rng_numba import uniform
from mlagents_envs.examples.sensors.rays_numba import cast_next

F = np.float32
AGENT, BLOCK, GOAL = range(3)
GRAVITY = F(2.5 * planar.GRAVITY)
FRICTION = F(planar.DEFAULT_FRICTION)  # between bodies
PUSH, TURN = F(3.0), F(math.radians(4.0))
SPREAD, FREE = 6.25, F(2.5)  # things begin this far from the middle, and with this much room around
GOAL_EDGE = F(-8.35)
DROP = 1.0  # height of the middle at which things begin
STEPS, LIMIT = 5, 5000  # physics steps of a decision, of an episode
FRAME = 35  # numbers of one frame of a ray sensor


@compiled()
def place(body, rng, i, other):
    """Put a body where there is room before the goal, and around another body unless that is itself."""
    while True:
        x, z = uniform(rng, i, -SPREAD, SPREAD), uniform(rng, i, -SPREAD, SPREAD)
        beside = abs(x - other.x) >= FREE + other.half_x or abs(z - other.z) >= FREE + other.half_z
        if z >= GOAL_EDGE + FREE and (beside or other.tag == body.tag):
            break
    rest(body, x, z)
    lift(body, F(DROP) - (body.high - body.low) / F(2.0))


@compiled()
def begin(state, who, scale, drag, friction, stiction, high, low, seen_high, seen_low):
    """Begin episodes in the areas `who`; the four columns beside it are of the block."""
    for k in range(len(who)):
        i = who[k]
        bodies = state.bodies[i]
        agent, block = bodies[AGENT], bodies[BLOCK]
        block.half_x = block.half_z = F(scale[k] / 2.0)
        block.drag = F(drag[k])
        for body in (agent, block):
            body.friction, body.stiction = F(friction[k]), F(stiction[k])
        place(block, state.rng, i, block)
        place(agent, state.rng, i, block)
        state.clock[i] = 0
        seen_high[i] = seen_low[i] = F(0.0)
        look(bodies, high, low, seen_high[i], seen_low[i])


@compiled()
def decide(state, action, high, low, reward, done, interrupted, seen_high, seen_low):
    """Simulate one decision of every agent; an area whose episode ends stands still."""
    for i in range(len(state.clock)):
        bodies = state.bodies[i]
        for _ in range(STEPS):
            walk(bodies[AGENT], action[i, 0], PUSH, TURN)
            step(bodies, state.touched, state.contacts, GRAVITY, FRICTION)
            state.clock[i] += 1
            reward[i] -= F(1.0 / LIMIT)
            if state.touched[BLOCK, GOAL]:
                reward[i] += F(5.0)
                done[i] = True
            elif state.clock[i] >= LIMIT:
                done[i] = interrupted[i] = True
            if done[i]:
                break
        look(bodies, high, low, seen_high[i], seen_low[i])


@compiled()
def look(bodies, high, low, seen_high, seen_low):
    """Let an agent see through both its sensors."""
    cast_next(bodies, AGENT, high, seen_high, FRAME)
    cast_next(bodies, AGENT, low, seen_low, FRAME)
