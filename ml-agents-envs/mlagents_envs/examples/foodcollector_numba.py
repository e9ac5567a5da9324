"""The rules of FoodCollector, one area after another, compiled."""

from __future__ import annotations

import math

import numpy as np

from mlagents_envs.compiled import compiled
from mlagents_envs.examples.engine import planar
from mlagents_envs.examples.engine.planar_numba import lift, outside, push, rest, step
from mlagents_envs.examples.engine.rng_numba import uniform
from mlagents_envs.examples.sensors.gridsensor_numba import survey

F = np.float32
AGENTS, OF_EACH = 5, 25  # agents, balls of good food and as many of bad
FIRST_FOOD, FIRST_WALL = AGENTS, AGENTS + 2 * OF_EACH
GOOD, FREE, WALL, BAD, FROZEN = range(5)  # tags, as the sensor has them
GRAVITY = F(planar.GRAVITY)
FRICTION = F(planar.DEFAULT_FRICTION)  # between bodies
PUSH, TURN = F(2.0), F(math.radians(6.0))
AIMING, SLOWED = F(0.5), F(0.75)  # what is left to who shoots: of its push, and in each step of its speed
FAST, BRAKED = F(5.0), F(0.95)  # m/s above which an agent keeps this much of its speed in each step
BEAM, REACH, FREEZING = F(2.0), F(25.0), 201  # of the laser: radius, m, and physics steps: more than 4 s
CLOSE = F(0.01)  # m from a box at which the beam has met it
SPREAD, EDGE = 45.0, F(50.0)  # things begin this far from the middle; there the walls are
AGENT_HEIGHT, FOOD_HEIGHT = F(2.0), F(3.0)  # of the middle, from where an agent falls at first, and food that was eaten
ROLLING = F(5.0 / 7.0)  # of a sliding ball's speed is left once it rolls
STEPS, LIMIT = 5, 5000  # physics steps of a decision, of an episode


@compiled()
def scatter(state):
    """Put food everywhere."""
    for i in range(len(state.clock)):
        for j in range(FIRST_FOOD, FIRST_WALL):
            food = state.bodies[i, j]
            rest(food, uniform(state.rng, i, -SPREAD, SPREAD), uniform(state.rng, i, -SPREAD, SPREAD))
            lift(food, F(0.0))


@compiled()
def begin(state, areas, scale, wakes):
    """Begin the episodes of all agents in these areas.

    scale: of each of these agents; wakes: (n,) physics step of its episode in which an agent acts again.
    """
    for k in range(len(areas)):
        i = areas[k]
        for a in range(AGENTS):
            agent, size = state.bodies[i, a], F(scale[k * AGENTS + a])
            agent.half_x = agent.half_z = size / F(2.0)
            agent.low, agent.high = agent.floor, agent.floor + size
            rest(agent, uniform(state.rng, i, -SPREAD, SPREAD), uniform(state.rng, i, -SPREAD, SPREAD))
            lift(agent, max(F(0.0), AGENT_HEIGHT - size / F(2.0) - agent.floor))
            agent.yaw = uniform(state.rng, i, 0.0, 2.0 * math.pi)
            agent.tag, wakes[i * AGENTS + a] = FREE, 0
        state.clock[i] = 0


@compiled()
def decide(state, steering, trigger, wakes, reward, done):
    """Simulate one decision of every agent."""
    for i in range(len(state.clock)):
        bodies, first = state.bodies[i], i * AGENTS
        for _ in range(STEPS):
            for a in range(AGENTS):
                row = first + a
                act(bodies, a, steering[row], trigger[row, 0] == 1, state.clock[i], wakes[first : first + AGENTS])
            hang(bodies)
            step(bodies, state.touched, state.contacts, GRAVITY, FRICTION)
            eat(state, i, reward[first : first + AGENTS])
            stop_at_walls(bodies)
            state.clock[i] += 1
        if state.clock[i] >= LIMIT:
            done[first : first + AGENTS] = True


@compiled(inline="always")
def brake(body, left):
    """Leave a body this share of its velocity."""
    body.vx *= left
    body.vz *= left


@compiled(inline="always")
def within(value):
    """Return an action, cut to -1..1."""
    return min(max(value, F(-1.0)), F(1.0))


@compiled()
def act(bodies, a, steering, shoots, now, wakes):
    """Let agent a of an area act for one physics step; wakes: of the area's agents."""
    agent = bodies[a]
    awake = now >= wakes[a]
    shoots = shoots and awake
    if awake:
        agent.tag = FREE
    if shoots:
        brake(agent, SLOWED)
    if agent.vx * agent.vx + agent.vz * agent.vz > FAST * FAST:
        brake(agent, BRAKED)
    if awake:
        strength = PUSH * AIMING if shoots else PUSH
        push(agent, strength * within(steering[0]), strength * within(steering[1]))
        agent.yaw -= TURN * within(steering[2])
    if shoots:
        hit = aim(bodies, a)
        if hit >= 0 and bodies[hit].tag == FREE:
            bodies[hit].tag, wakes[hit] = FROZEN, now + FREEZING


@compiled()
def aim(bodies, a):
    """Return what agent a's beam meets first, -1 = nothing; what it overlaps where it starts is passed over."""
    agent = bodies[a]
    c, s = math.cos(agent.yaw), math.sin(agent.yaw)
    y = (agent.low + agent.high) / F(2.0)
    first, hit = REACH, -1
    for j in range(len(bodies)):
        body = bodies[j]
        if j == a or not body.on:
            continue
        dx, dz = body.x - agent.x, body.z - agent.z
        if body.round:
            meets = meet_ball(c * dx - s * dz, s * dx + c * dz, body.half_x, (body.low + body.high) / F(2.0) - y)
        else:
            meets = meet_box(body, agent.x, agent.z, s, c, first)
        if F(0.0) < meets < first:
            first, hit = meets, j
    return hit


@compiled(inline="always")
def meet_ball(right, ahead, radius, above):
    """Return how far off the beam meets a ball, whose middle is in the agent's frame; not positive: it does not."""
    around = (BEAM + radius) * (BEAM + radius) - above * above
    if right * right >= around or right * right + ahead * ahead <= around:
        return F(-1.0)
    return ahead - math.sqrt(around - right * right)


@compiled()
def meet_box(box, x, z, way_x, way_z, farthest):
    """Return how far from (x, z) the beam meets a box, going as far as is free each time; not positive: it does not."""
    gone = F(0.0)
    while gone < farthest:
        off = outside(box, x + gone * way_x, z + gone * way_z)[0] - BEAM
        if off < CLOSE:
            return gone
        gone += off
    return F(-1.0)


@compiled()
def hang(bodies):
    """Keep food that is above all agents out of their reach."""
    top = F(0.0)
    for a in range(AGENTS):
        top = max(top, bodies[a].high)
    for j in range(FIRST_FOOD, FIRST_WALL):
        bodies[j].solid = bodies[j].low < top


@compiled()
def eat(state, i, reward):
    """Give food to who touched it, and let it fall down elsewhere."""
    for j in range(FIRST_FOOD, FIRST_WALL):
        food, eaten = state.bodies[i, j], False
        for a in range(AGENTS):
            if food.solid and state.touched[a, j]:
                reward[a] += F(1.0) if food.tag == GOOD else F(-1.0)
                eaten = True
        if eaten:
            food.x = uniform(state.rng, i, -SPREAD, SPREAD)
            food.z = uniform(state.rng, i, -SPREAD, SPREAD)
            lift(food, FOOD_HEIGHT - food.half_x - food.floor)
            brake(food, ROLLING)


@compiled()
def stop_at_walls(bodies):
    """Stop food that rolls against a wall."""
    for j in range(FIRST_FOOD, FIRST_WALL):
        food = bodies[j]
        most = EDGE - food.half_x
        if abs(food.x) > most:
            food.x, food.vx = math.copysign(most, food.x), F(0.0)
        if abs(food.z) > most:
            food.z, food.vz = math.copysign(most, food.z), F(0.0)


@compiled()
def look(state, grid, seen):
    """Let every agent see; in Unity the sensor's cells spread with its scale."""
    for i in range(len(state.clock)):
        for a in range(AGENTS):
            agent = state.bodies[i, a]
            survey(state.bodies[i], a, grid, agent.high - agent.low, seen[i * AGENTS + a])
