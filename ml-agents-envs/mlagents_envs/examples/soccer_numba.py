"""The rules of SoccerTwos, one field after another, compiled."""

from __future__ import annotations

import math

import numpy as np

from mlagents_envs.compiled import compiled
from mlagents_envs.examples.engine import planar
from mlagents_envs.examples.engine.planar_numba import DT, rest, steer, step
from mlagents_envs.examples.engine.rng_numba import uniform
from mlagents_envs.examples.sensors.rays_numba import cast_next

F = np.float32
PLAYERS, BALL = 4, 4  # two of blue, two of purple, then the ball
GRAVITY = F(planar.GRAVITY)
FRICTION = F(planar.DEFAULT_FRICTION)  # between bodies
AHEAD, ASIDE, TURN = F(2.0), F(0.6), F(math.radians(2.0))
KICK = F(2000.0 / 3.0) * DT  # m/s that a kick gives: a force for one physics step, by the ball's mass
START_X, START_Z, SPREAD = 8.19, F(1.2), 5.0  # where players begin
LOOK, BALL_SPREAD = 10.0, 2.5  # degrees, m
GOAL_LINE = F(15.5 - math.sqrt(0.624**2 - 0.5**2))  # where the ball, half a metre high, meets the goal's sunken floor
TOUCH = F(0.2)  # what ball_touch pays for
STEPS, LIMIT = 5, 5000  # physics steps of a decision, of an episode
FORWARD, BACKWARD = 88, 24  # numbers of one frame of each ray sensor


@compiled()
def begin(state, who, touching, forward, backward, seen_forward, seen_backward):
    """Begin episodes on the fields `who`; touching: (areas, players) who touched the ball in the last physics step."""
    rng = state.rng
    for i in who:
        bodies = state.bodies[i]
        for k in range(PLAYERS):
            side = F(-1.0) if k < 2 else F(1.0)
            x = side * F(START_X) + uniform(rng, i, -SPREAD, SPREAD)
            rest(bodies[k], x, START_Z if k % 2 == 0 else -START_Z)
            bodies[k].yaw = -side * uniform(rng, i, math.radians(90.0 - LOOK), math.radians(90.0 + LOOK))
            touching[i, k] = False
        x = uniform(rng, i, -BALL_SPREAD, BALL_SPREAD)
        rest(bodies[BALL], x, uniform(rng, i, -BALL_SPREAD, BALL_SPREAD))
        state.clock[i] = 0
        seen_forward[PLAYERS * i : PLAYERS * (i + 1)] = F(0.0)
        seen_backward[PLAYERS * i : PLAYERS * (i + 1)] = F(0.0)
        look(bodies, i, forward, backward, seen_forward, seen_backward)


@compiled()
def decide(
    state, action, touching, ball_touch, forward, backward, reward, group_reward, done, interrupted, seen_forward,
    seen_backward,
):  # fmt: skip
    """Simulate one decision of every player; a field whose episode ends stands still.

    ball_touch: (areas,) what a player gets for touching the ball, in fifths; forward, backward: Rays of either team.
    """
    for i in range(len(state.clock)):
        bodies, first = state.bodies[i], PLAYERS * i
        for _ in range(STEPS):
            for k in range(PLAYERS):
                steer(bodies[k], action[first + k], AHEAD, ASIDE, TURN)
            step(bodies, state.touched, state.contacts, GRAVITY, FRICTION)
            state.clock[i] += 1
            for k in range(PLAYERS):
                touches = state.touched[k, BALL]
                if touches and not touching[i, k]:
                    reward[first + k] += TOUCH * ball_touch[i]
                    if action[first + k, 0] == 1:
                        kick(bodies[k], bodies[BALL])
                touching[i, k] = touches
            where = bodies[BALL].x
            if abs(where) > GOAL_LINE:
                score(group_reward, first, where > 0, state.clock[i])
                done[first : first + PLAYERS] = True
            elif state.clock[i] >= LIMIT:
                done[first : first + PLAYERS] = interrupted[first : first + PLAYERS] = True
            if done[first]:
                break
        look(bodies, i, forward, backward, seen_forward, seen_backward)


@compiled(inline="always")
def kick(player, ball):
    """Give the ball a kick, away from the player."""
    dx, dz = ball.x - player.x, ball.z - player.z
    distance = math.sqrt(dx * dx + dz * dz) + F(1e-9)
    ball.vx += KICK * dx / distance
    ball.vz += KICK * dz / distance


@compiled(inline="always")
def score(group_reward, first, for_blue, clock):
    """Pay both teams of a field for a goal; the sooner it falls, the more."""
    for k in range(PLAYERS):
        scored = (k < 2) == for_blue
        group_reward[first + k] = F(1.0) - F(clock) / F(LIMIT) if scored else F(-1.0)


@compiled()
def look(bodies, i, forward, backward, seen_forward, seen_backward):
    """Let the players of a field see, each as its team does."""
    for k in range(PLAYERS):
        row, team = PLAYERS * i + k, k // 2
        cast_next(bodies, k, forward[team], seen_forward[row], FORWARD)
        cast_next(bodies, k, backward[team], seen_backward[row], BACKWARD)
