"""The rules of Pyramids, one area after another, compiled."""

from __future__ import annotations

import math

import numpy as np

from mlagents_envs.compiled import compiled
from mlagents_envs.examples.engine import planar
from mlagents_envs.examples.engine.planar_numba import lift, rest, step, walk
from mlagents_envs.examples.engine.rng_numba import uniform
from mlagents_envs.examples.sensors.rays_numba import cast

F = np.float32
STONES, TIERS, LOOSE = 6, 4, 26  # pyramids of stone, tiers of every pyramid, bricks that fall
WALLS = 20
AGENT, SWITCH = 0, 1
FIRST_WALL = 2
FIRST_STONE = FIRST_WALL + WALLS
FIRST_BRICK = FIRST_STONE + STONES * TIERS
GOLD = FIRST_BRICK + LOOSE
OFF, ON = 3, 4  # tags of the switch

GRAVITY = F(planar.GRAVITY)
FRICTION = F(planar.DEFAULT_FRICTION)  # between bodies
PUSH, TURN = F(2.0), F(math.radians(4.0))
CELL, SPREAD = 30.0, 11.9  # distance of the nine cells, and how far from a cell's middle things begin
DROP = F(1.5)  # above the floor, from where agents fall when they begin
TOP = F(4.4)  # of the brick pyramid, where the gold lies
LANDING = 15  # physics steps until the gold of a pyramid that is bumped lies on the floor
BUMPED = F(0.6)  # of the speed that is left to the agent that bumps a pyramid
STEPS, LIMIT = 5, 5000  # physics steps of a decision, of an episode

# of a pyramid's tiers: middle from the pyramid's place, half edges, heights
TIER = np.array(
    [
        [0.43, 0.78, 2.27, 2.34, 0.0, 1.0],
        [0.44, 0.82, 1.74, 1.80, 1.0, 2.2],
        [0.45, 0.75, 1.10, 1.12, 2.2, 3.4],
        [0.50, 0.80, 0.50, 0.50, 3.4, 4.4],
    ],
    np.float32,
)
MIDDLE_X, MIDDLE_Z = F(0.45), F(0.8)  # of a pyramid, from its place


@compiled()
def spot(state, i, cell):
    """Return a place in one of the nine cells."""
    x, z = CELL * (cell % 3 - 1), CELL * (cell // 3 - 1)
    return (
        F(x) + uniform(state.rng, i, -SPREAD, SPREAD), F(z) + uniform(state.rng, i, -SPREAD, SPREAD)
    )  # fmt: skip


@compiled()
def begin(state, who, cells, landing, rays, seen, felt):
    """Begin episodes in the areas `who`: agent, switch, bricks to come and six stone pyramids in cells of their own.

    cells: (areas, 9) which cell each thing has; landing: (areas,) physics steps since the brick pyramid was bumped.
    """
    for i in who:
        bodies, mine = state.bodies[i], cells[i]
        for k in range(8, 0, -1):
            other = int(uniform(state.rng, i, 0.0, k + 1.0))
            mine[k], mine[other] = mine[other], mine[k]
        agent, switch = bodies[AGENT], bodies[SWITCH]
        x, z = spot(state, i, mine[0])
        rest(agent, x, z)
        lift(agent, DROP)
        agent.yaw = uniform(state.rng, i, 0.0, 2.0 * math.pi)
        x, z = spot(state, i, mine[1])
        rest(switch, x, z)
        switch.yaw, switch.tag = F(0.0), OFF
        for stone in range(STONES):
            x, z = spot(state, i, mine[3 + stone])
            for tier in range(TIERS):
                rest(bodies[FIRST_STONE + stone * TIERS + tier], x + TIER[tier, 0], z + TIER[tier, 1])
        for k in range(FIRST_BRICK, GOLD + 1):
            bodies[k].on = False
        state.clock[i] = landing[i] = 0
        look(bodies, rays, seen[i], felt[i])


@compiled()
def build(state, i, cell):
    """Let the brick pyramid appear, each tier as one, with the gold on top."""
    bodies = state.bodies[i]
    x, z = spot(state, i, cell)
    for tier in range(TIERS):
        brick = bodies[FIRST_BRICK + tier]
        rest(brick, x + TIER[tier, 0], z + TIER[tier, 1])
        brick.yaw = F(0.0)
        brick.half_x, brick.half_z, brick.low, brick.high = TIER[tier, 2], TIER[tier, 3], TIER[tier, 4], TIER[tier, 5]
        brick.on, brick.solid = True, False
    gold = bodies[GOLD]
    rest(gold, x + MIDDLE_X, z + MIDDLE_Z)
    gold.low, gold.high, gold.on = TOP, TOP + F(2.0), True


@compiled()
def tumble(state, i):
    """Let the brick pyramid fall apart, a little further where the agent goes."""
    bodies = state.bodies[i]
    agent, gold = bodies[AGENT], bodies[GOLD]
    x, z = gold.x, gold.z
    rest(
        gold,
        x + F(0.06) * agent.vx + uniform(state.rng, i, -1.5, 1.5),
        z + F(0.06) * agent.vz + uniform(state.rng, i, -1.5, 1.5),
    )
    for k in range(LOOSE):
        brick = bodies[FIRST_BRICK + k]
        along = F(0.1) * uniform(state.rng, i, 0.0, 1.0)
        rest(
            brick,
            x + along * agent.vx + uniform(state.rng, i, -4.0, 4.0),
            z + along * agent.vz + uniform(state.rng, i, -4.0, 4.0),
        )
        brick.yaw = uniform(state.rng, i, 0.0, math.pi)
        brick.half_x = brick.half_z = F(0.5)
        brick.low, brick.high = F(0.0), F(1.0)
        brick.on = brick.solid = True
    agent.vx *= BUMPED
    agent.vz *= BUMPED


@compiled()
def happen(state, i, cells, landing):
    """Apply what the agent touched in the last physics step, and return whether that was the gold."""
    bodies, touched = state.bodies[i], state.touched[AGENT]
    if touched[SWITCH] and bodies[SWITCH].tag == OFF:
        bodies[SWITCH].tag = ON
        build(state, i, cells[i, 2])
    elif landing[i] > 0:
        landing[i] += 1
        gold = bodies[GOLD]
        fallen = F(landing[i]) / F(LANDING)
        gold.low = max(F(0.0), TOP * (F(1.0) - fallen * fallen))
        gold.high = gold.low + F(2.0)
    elif touched[FIRST_BRICK]:
        landing[i] = 1
        tumble(state, i)
    return touched[GOLD] and landing[i] >= LANDING


@compiled()
def decide(state, action, cells, landing, rays, reward, done, interrupted, seen, felt):
    """Simulate one decision of every agent; an area whose episode ends stands still."""
    for i in range(len(state.clock)):
        bodies = state.bodies[i]
        for _ in range(STEPS):
            walk(bodies[AGENT], action[i, 0], PUSH, TURN)
            step(bodies, state.touched, state.contacts, GRAVITY, FRICTION)
            state.clock[i] += 1
            reward[i] -= F(1.0 / LIMIT)
            if happen(state, i, cells, landing):
                reward[i] = F(2.0)
                done[i] = True
            elif state.clock[i] >= LIMIT:
                done[i] = interrupted[i] = True
            if done[i]:
                break
        look(bodies, rays, seen[i], felt[i])


@compiled()
def look(bodies, rays, seen, felt):
    """Write what an agent sees, and that it feels the switch's state and its own velocity."""
    cast(bodies, AGENT, rays, seen)
    agent = bodies[AGENT]
    c, s = math.cos(agent.yaw), math.sin(agent.yaw)
    felt[0] = F(1.0) if bodies[SWITCH].tag == ON else F(0.0)
    felt[1] = c * agent.vx - s * agent.vz
    felt[2] = agent.climb
    felt[3] = s * agent.vx + c * agent.vz
