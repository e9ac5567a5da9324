"""The rules of Hallway, one area after another, compiled."""

from __future__ import annotations

import math

import numpy as np

from mlagents_envs.compiled import compiled
from mlagents_envs.examples.engine import planar
from mlagents_envs.examples.engine.planar_numba import rest, step, walk
from mlagents_envs.examples.engine.rng_numba import uniform
from mlagents_envs.examples.sensors.rays_numba import cast_next

F = np.float32
AGENT = 0
SYMBOLS, PADS, SIGNS = (1, 2), (3, 4), (5, 6)  # each O, then X
GRAVITY = F(2.0 * planar.GRAVITY)
FRICTION = F(planar.DEFAULT_FRICTION)  # between bodies
PUSH, TURN = F(1.5), F(math.radians(3.0))
PAD_X, PAD_Z, SIGN_Z = F(7.0), F(22.29), F(24.79)
STEPS, LIMIT = 6, 3000  # physics steps of a decision, of an episode
FRAME = 35  # numbers of one frame of the ray sensor


@compiled()
def begin(state, who, goal, rays, seen, elapsed):
    """Begin episodes in the areas `who`; goal: (areas,) which goal is right, 0 for O and 1 for X."""
    rng = state.rng
    for i in who:
        bodies = state.bodies[i]
        goal[i] = 0 if uniform(rng, i, 0.0, 1.0) < 0.5 else 1
        for kind in range(2):
            bodies[SYMBOLS[kind]].on = kind == goal[i]
        x = uniform(rng, i, -3.0, 3.0) if goal[i] == 0 else F(0.0)  # X stands in the middle, as in Unity
        rest(bodies[SYMBOLS[goal[i]]], x, uniform(rng, i, -5.0, 5.0))
        rest(bodies[AGENT], uniform(rng, i, -3.0, 3.0), F(-15.0) + uniform(rng, i, -5.0, 5.0))
        bodies[AGENT].yaw = uniform(rng, i, 0.0, 2.0 * math.pi)
        side = PAD_X if uniform(rng, i, 0.0, 1.0) < 0.5 else -PAD_X
        for kind in range(2):
            rest(bodies[PADS[kind]], side, PAD_Z)
            rest(bodies[SIGNS[kind]], side, SIGN_Z)
            side = -side
        state.clock[i] = 0
        seen[i] = elapsed[i] = F(0.0)
        look(state, i, rays, seen[i], elapsed[i])


@compiled()
def decide(state, action, goal, rays, reward, done, interrupted, seen, elapsed):
    """Simulate one decision of every agent; an area whose episode ends stands still."""
    for i in range(len(state.clock)):
        bodies = state.bodies[i]
        for _ in range(STEPS):
            walk(bodies[AGENT], action[i, 0], PUSH, TURN)
            step(bodies, state.touched, state.contacts, GRAVITY, FRICTION)
            state.clock[i] += 1
            reward[i] -= F(1.0 / LIMIT)
            for kind in range(2):
                if state.touched[AGENT, PADS[kind]]:
                    reward[i] = F(1.0) if kind == goal[i] else F(-0.1)
                    done[i] = True
            if not done[i] and state.clock[i] >= LIMIT:
                done[i] = interrupted[i] = True
            if done[i]:
                break
        look(state, i, rays, seen[i], elapsed[i])


@compiled()
def look(state, i, rays, seen, elapsed):
    """Write the observations of an agent: rays, and the share of its time that has passed."""
    cast_next(state.bodies[i], AGENT, rays, seen, FRAME)
    elapsed[0], elapsed[1], elapsed[2] = elapsed[1], elapsed[2], F(state.clock[i]) / F(LIMIT)
