"""The rules of WallJump and its third dimension, one area after another, compiled."""

from __future__ import annotations

import math

import numpy as np

from mlagents_envs.compiled import compiled
from mlagents_envs.examples.engine import planar
from mlagents_envs.examples.engine.planar_numba import (
    ANCHORS,
    DT,
    NEAR,
    PUSH_OUT,
    find_contacts,
    glide,
    outside,
    part,
    rest,
    slow,
    solve,
    widest_gap,
)
from mlagents_envs.examples.engine.rng_numba import uniform
from mlagents_envs.examples.sensors.rays_numba import cast_next

F = np.float32
AGENT, BLOCK, WALL, GOAL = range(4)
GRAVITY = F(2.75 * planar.GRAVITY)
FRICTION = F(planar.DEFAULT_FRICTION)
GROUND, MIDDLE_Z, EDGE = F(0.45), F(-4.0), F(10.5)  # its height, its middle, and how far from there it ends
ABYSS = F(-1e9)  # so low that nothing stands there

PUSH, TURN = F(3.0), F(math.radians(6.0))
AHEAD, ASIDE, AIRBORNE = F(1.0), F(0.6), F(0.5)  # shares of the push: by direction, and without ground
JUMPING, RISE = 11, F(2.75)  # physics steps of 0.2 s, as Unity counts them down; m by which a jump aims above its start
PULL, MOST_PULL = F(777.0 * 0.02), F(10.0)  # 1/s and m/s: how fast a jump goes where it aims, and the most it changes
FALLING = F(111.0)  # m/s2 that are added while the agent falls, so that it does not float
REACH, FEET, SOLE = F(0.55), F(0.025), F(0.05)  # m: how far below it may jump from; margins of what counts as ground

START_Z, START_LOW, SPREAD = F(-12.0), F(0.5), 9.0  # where an agent begins
BLOCK_X, BLOCK_Z, BLOCK_MIDDLE = 8.1, 3.5, F(-6.27)  # a block begins this far from there
COST, STEPS, LIMIT = F(0.0005), 5, 2000  # of a physics step; physics steps of a decision, of an episode
FRAME, FELT, SCALE = 35, 4, F(20.0)  # numbers of a ray sensor's frame, of a frame of what is felt; m

JUMP = np.dtype([("left", "i4"), ("start", "f4")], align=True)  # physics steps that are left, height where it began


@compiled()
def choose_walls(state, who):
    """Draw the wall of each area: 0 none, 1 small, 2 big."""
    walls = np.empty(len(who), np.int64)
    for k in range(len(who)):
        walls[k] = min(2, int(uniform(state.rng, who[k], 0.0, 5.0)))
    return walls


@compiled()
def begin(state, who, height, jump, high, low, seen_high, seen_low, felt):
    """Begin episodes in the areas `who`; height: (len(who),) of the wall."""
    for k in range(len(who)):
        i = who[k]
        bodies = state.bodies[i]
        agent, wall = bodies[AGENT], bodies[WALL]
        block_x = uniform(state.rng, i, -BLOCK_X, BLOCK_X)
        rest(bodies[BLOCK], block_x, BLOCK_MIDDLE + uniform(state.rng, i, -BLOCK_Z, BLOCK_Z))
        rest(agent, uniform(state.rng, i, -SPREAD, SPREAD), START_Z)
        agent.low, agent.high, agent.climb, agent.floor = START_LOW, START_LOW + F(1.0), F(0.0), ABYSS
        wall.low, wall.high = F(-height[k] / 2.0), F(height[k] / 2.0)
        jump[i].left = 0
        state.clock[i] = 0
        seen_high[i] = seen_low[i] = felt[i] = F(0.0)
        look(bodies, high, low, seen_high[i], seen_low[i], felt[i])


@compiled()
def decide(state, action, jump, high, low, reward, done, interrupted, seen_high, seen_low, felt):
    """Simulate one decision of every agent; an area whose episode ends stands still."""
    for i in range(len(state.clock)):
        bodies = state.bodies[i]
        for _ in range(STEPS):
            act(bodies, action[i], jump[i])
            reward[i] -= COST
            state.clock[i] += 1
            lost = beyond(bodies[AGENT]) or beyond(bodies[BLOCK])
            if not lost:
                advance(bodies, state.touched, state.contacts)
            if lost or reached(bodies, state.touched):
                reward[i] = F(-1.0) if lost else F(1.0)
                done[i] = True
            elif state.clock[i] >= LIMIT:
                done[i] = interrupted[i] = True
            if done[i]:
                break
        look(bodies, high, low, seen_high[i], seen_low[i], felt[i])


@compiled(inline="always")
def beyond(body):
    """Is the middle of a body beyond the platform's edge?"""
    return abs(body.x) > EDGE or abs(body.z - MIDDLE_Z) > EDGE


@compiled(inline="always")
def reached(bodies, touched):
    """Is the agent in the goal, and on something?"""
    agent, goal = bodies[AGENT], bodies[GOAL]
    return touched[AGENT, GOAL] and agent.low < goal.high and agent.high > goal.low and can_jump(bodies)


@compiled()
def can_jump(bodies):
    """Is there something close below the agent's middle?"""
    agent = bodies[AGENT]
    deepest, highest = agent.low - REACH, agent.low + F(1.0) - REACH
    if not beyond(agent) and deepest <= GROUND < highest:
        return True
    for k in range(BLOCK, WALL + 1):
        other = bodies[k]
        if deepest <= other.high < highest and outside(other, agent.x, agent.z)[0] <= 0:
            return True
    return False


@compiled()
def has_ground(bodies):
    """Does the agent touch the ground with its sole, or overlap block or wall?"""
    agent = bodies[AGENT]
    sole = agent.low - SOLE
    if sole <= GROUND:
        return True
    for k in range(BLOCK, WALL + 1):
        other = bodies[k]
        if other.low <= agent.high - SOLE and sole <= other.high and widest_gap(agent, other)[0] <= -FEET:
            return True
    return False


@compiled()
def act(bodies, action, jump):
    """Let the agent act for one physics step: push, turn, and jump or be drawn down."""
    agent = bodies[AGENT]
    supported = has_ground(bodies)
    ahead = aside = F(0.0)
    if action[2] > 0:  # going sideways takes the place of going ahead
        aside = -ASIDE if action[2] == 1 else ASIDE
    elif action[0] > 0:
        ahead = AHEAD if action[0] == 1 else -AHEAD
    share = F(1.0) if supported else AIRBORNE
    c, s = share * math.cos(agent.yaw), share * math.sin(agent.yaw)
    way_x, way_z = s * ahead + c * aside, c * ahead - s * aside
    if action[1] > 0:
        agent.yaw += -TURN if action[1] == 1 else TURN
    if action[3] == 1 and jump.left <= 0 and can_jump(bodies):
        jump.left, jump.start = JUMPING, agent.low
    if jump.left > 0:
        pull(agent, way_x, jump.start + RISE - agent.low, way_z)
    elif not supported:
        agent.climb -= FALLING * DT
    jump.left -= 1
    agent.vx += PUSH * way_x
    agent.vz += PUSH * way_z


@compiled(inline="always")
def pull(agent, to_x, to_y, to_z):
    """Change the agent's velocity towards one that grows with the distance to where a jump aims, seen from here."""
    x, y, z = PULL * to_x - agent.vx, PULL * to_y - agent.climb, PULL * to_z - agent.vz
    share = min(F(1.0), MOST_PULL / (math.sqrt(x * x + y * y + z * z) + F(1e-9)))
    agent.vx += share * x
    agent.climb += share * y
    agent.vz += share * z


@compiled()
def advance(bodies, touched, contacts):
    """Move an area by a physics step, after the agent has acted."""
    agent, block = bodies[AGENT], bodies[BLOCK]
    count = keep_beside(bodies, contacts, find_contacts(bodies, touched, contacts))
    carrier, above = what_is_below(bodies)
    agent.spare = F(0.0)
    if above < NEAR:
        press = max(F(0.0), GRAVITY * DT - agent.climb - max(above, F(0.0)) / DT)
        agent.climb += press
        slowing = ANCHORS * FRICTION * press
        if carrier == BLOCK:
            drag_along(agent, block, slowing)
        else:
            agent.spare = max(F(0.0), slowing - slow(agent, slowing, slowing))
    solve(bodies, contacts, count, FRICTION)
    if agent.spare > 0:
        slow(agent, agent.spare, F(0.0))
    glide(agent, GRAVITY)
    glide(block, GRAVITY)
    part(bodies, contacts, count)
    if above < 0:
        out = min(F(-0.5) * above, PUSH_OUT)
        agent.low += out
        agent.high += out


@compiled(inline="always")
def over(a, b):
    """Do two bodies overlap less in height than in their sides, so that one is on the other?"""
    return max(a.low - b.high, b.low - a.high) > widest_gap(a, b)[0]


@compiled()
def keep_beside(bodies, contacts, count):
    """Keep the contacts of bodies that meet with their sides, and return how many these are."""
    kept = 0
    for k in range(count):
        if not over(bodies[contacts[k].a], bodies[contacts[k].b]):
            contacts[kept] = contacts[k]
            kept += 1
    return kept


@compiled()
def what_is_below(bodies):
    """Return what would stop the agent's fall, WALL for the ground too, and how far the agent is above it."""
    agent = bodies[AGENT]
    carrier, top = WALL, GROUND
    for k in range(BLOCK, WALL + 1):
        other = bodies[k]
        if other.high > top and over(agent, other) and widest_gap(agent, other)[0] < 0:
            carrier, top = k, other.high
    return carrier, agent.low - top


@compiled()
def drag_along(agent, block, slowing):
    """Let the agent, which can be slowed so much, rub on the block below it: they drag each other."""
    x, z = agent.vx - block.vx, agent.vz - block.vz
    speed = math.sqrt(x * x + z * z) + F(1e-9)
    most = slowing / agent.inverse_mass
    impulse = min(most, speed / (agent.inverse_mass + block.inverse_mass)) / speed
    agent.vx -= impulse * agent.inverse_mass * x
    agent.vz -= impulse * agent.inverse_mass * z
    block.vx += impulse * block.inverse_mass * x
    block.vz += impulse * block.inverse_mass * z


@compiled()
def look(bodies, high, low, seen_high, seen_low, felt):
    """Let an agent see through both its sensors, and feel where it is and whether it could jump."""
    cast_next(bodies, AGENT, high, seen_high, FRAME)
    cast_next(bodies, AGENT, low, seen_low, FRAME)
    for k in range(len(felt) - FELT):
        felt[k] = felt[k + FELT]
    agent, now = bodies[AGENT], felt[len(felt) - FELT :]
    now[0], now[1], now[2] = agent.x / SCALE, (agent.low + F(0.5)) / SCALE, (agent.z - MIDDLE_Z) / SCALE
    now[3] = F(1.0) if can_jump(bodies) else F(0.0)
