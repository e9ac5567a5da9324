"""What cameras on the agents of FoodCollector see, compiled."""

from __future__ import annotations

import numpy as np

from mlagents_envs.compiled import compiled
from mlagents_envs.examples.foodcollector_numba import AGENTS, EDGE, FIRST_FOOD, FIRST_WALL, FROZEN, GOOD
from mlagents_envs.examples.sensors.camera_numba import (
    BLUE,
    HALF,
    agent_cube,
    along,
    box,
    clear,
    develop,
    rectangle,
    sphere,
    upright,
)

F = np.float32
NIL = F(0.0)
AHEAD = F(0.15)  # of the agent's edge: where the camera is, before its middle
SKY, FLOOR, GRAY = (119, 144, 155), (58, 58, 58), (128, 128, 128)
GREEN, RED, PINK = (97, 201, 45), (214, 63, 52), (255, 92, 173)
LASER = (F(0.385), F(0.13), F(10.0))  # its half edges, for an agent with an edge of 1
LASER_LOW, LASER_AHEAD = F(-0.06), F(10.0)  # its middle, from the agent's


@compiled()
def look(state, shooting, laser_length, canvas, seen, frozen):
    """Let every agent see: a picture, (n, 3, h, w) float32, and whether it is frozen, (n, 1) float32."""
    for i in range(len(state.bodies)):
        bodies, first = state.bodies[i], i * AGENTS
        for a in range(AGENTS):
            picture(bodies, a, shooting[first : first + AGENTS], laser_length[first : first + AGENTS], canvas)
            develop(canvas.image, seen[first + a])
            frozen[first + a, 0] = F(1.0) if bodies[a].tag == FROZEN else NIL


@compiled(inline="always")
def center(body):
    """Return the middle of a body."""
    return body.x, HALF * (body.low + body.high), body.z


@compiled()
def picture(bodies, a, shooting, laser_length, canvas):
    """Paint what agent a of an area sees; shooting, laser_length: of the area's agents."""
    agent = bodies[a]
    axes = upright(agent.yaw)
    eye = along(center(agent), axes, NIL, NIL, AHEAD * (agent.high - agent.low))
    view = eye, axes[0], axes[1], axes[2]
    clear(canvas, SKY)
    level, up = upright(NIL), (NIL, F(1.0), NIL)
    rectangle(canvas, view, (NIL, agent.floor, NIL), up, (EDGE, NIL, NIL), (NIL, NIL, EDGE), FLOOR)
    for j in range(FIRST_WALL, len(bodies)):
        wall = bodies[j]
        box(canvas, view, center(wall), level, (wall.half_x, HALF * (wall.high - wall.low), wall.half_z), GRAY)
    for j in range(FIRST_FOOD, FIRST_WALL):
        food = bodies[j]
        if food.on:
            sphere(canvas, view, center(food), food.half_x, GREEN if food.tag == GOOD else RED)
    for b in range(AGENTS):
        other = bodies[b]
        its_axes, edge = upright(other.yaw), other.high - other.low
        stiff = other.tag == FROZEN
        agent_cube(canvas, view, center(other), its_axes, edge, GRAY if stiff else BLUE)
        if shooting[b] and not stiff:
            length = laser_length[b]
            at = along(center(other), its_axes, NIL, LASER_LOW * edge, LASER_AHEAD * edge * length)
            half = LASER[0] * edge, LASER[1] * edge, LASER[2] * edge * length
            box(canvas, view, at, its_axes, half, PINK)
