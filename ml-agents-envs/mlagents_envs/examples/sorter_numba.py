"""The rules of Sorter, one room after another, compiled."""

from __future__ import annotations

import math

import numpy as np

from mlagents_envs.compiled import ORDINARY, compiled
from mlagents_envs.examples.engine import planar
from mlagents_envs.examples.engine.planar_numba import lift, rest, steer, step
from mlagents_envs.examples.engine.rng_numba import draw

F = np.float32
TILES = 20  # and slots for them around the room
AGENT, FIRST_TILE = 0, 1
GRAVITY = F(2.5 * planar.GRAVITY)
FRICTION = F(planar.DEFAULT_FRICTION)  # between bodies
PUSH, TURN = F(2.0), F(math.radians(4.0))
AWAY, SCALE = 20.5, F(20.0)  # m: of tiles from the middle; of what is observed as 1
DROP = F(0.708)  # above the floor, from where agents fall when they begin
STEPS, LIMIT = 5, 5000  # physics steps of a decision, of an episode
HIDDEN, SHOWN, VISITED = range(3)  # what a tile is
PLACE, SEEN = TILES, TILES + 2  # columns of a tile's row: its position, whether it was visited


@compiled()
def begin(state, who, most, tiles, tile_obs, body_obs, pose_obs):
    """Begin episodes in the rooms `who`; the agents keep the direction in which they look.

    most: tiles that there may be in each of these rooms; tiles: (areas, TILES) what each tile is.
    """
    values, slots = np.arange(TILES), np.arange(TILES)
    for k in range(len(who)):
        i = who[k]
        bodies = state.bodies[i]
        tiles[i] = HIDDEN
        for tile in range(TILES):
            values[tile] = slots[tile] = tile
            bodies[FIRST_TILE + tile].on = False
        for chosen in range(1 + draw(state.rng, i, most[k])):
            value = take(values, chosen, state.rng, i)
            angle = 2.0 * math.pi * take(slots, chosen, state.rng, i) / TILES
            tiles[i, value] = SHOWN
            tile = bodies[FIRST_TILE + value]
            rest(tile, AWAY * math.sin(angle), AWAY * math.cos(angle))
            tile.yaw = F(angle)
            tile.on = True
        rest(bodies[AGENT], 0.0, 0.0)
        lift(bodies[AGENT], DROP)
        state.clock[i] = 0
        pose_obs[i] = F(0.0)
        look(bodies, tiles[i], tile_obs[i], body_obs[i], pose_obs[i])


@compiled()
def take(deck, taken, rng, i):
    """Return one of those that were not taken yet, and move it to these."""
    other = taken + draw(rng, i, len(deck) - taken)
    deck[taken], deck[other] = deck[other], deck[taken]
    return deck[taken]


@compiled()
def decide(state, action, tiles, reward, done, interrupted, tile_obs, body_obs, pose_obs):
    """Simulate one decision of every agent; a room whose episode ends stands still."""
    for i in range(len(state.clock)):
        bodies = state.bodies[i]
        for _ in range(STEPS):
            steer(bodies[AGENT], action[i], PUSH, PUSH, TURN)
            step(bodies, state.touched, state.contacts, GRAVITY, FRICTION)
            state.clock[i] += 1
            reward[i] -= F(1.0 / LIMIT)
            earned, over = visit(tiles[i], state.touched[AGENT])
            reward[i] += earned
            if over:
                done[i] = True
            elif state.clock[i] >= LIMIT:
                done[i] = interrupted[i] = True
            if done[i]:
                break
        look(bodies, tiles[i], tile_obs[i], body_obs[i], pose_obs[i])


@compiled()
def visit(tiles, touched):
    """Return what the tile that is touched gives, and whether the episode is over."""
    expected = True  # no tile before this one waits to be visited
    earned, waiting = F(0.0), False
    for tile in range(TILES):
        if tiles[tile] != SHOWN:
            continue
        if touched[FIRST_TILE + tile]:
            if not expected:
                return F(-1.0), True
            tiles[tile] = VISITED
            earned = F(1.0)
        else:
            waiting = True
        expected = False
    return earned, not waiting


@compiled(fastmath=ORDINARY)
def look(bodies, tiles, tile_obs, body_obs, pose_obs):
    """Write the observations: of the tiles in ascending order, of the body's velocity, of the agent's pose."""
    agent = bodies[AGENT]
    tile_obs[:] = F(0.0)
    row = 0
    for value in range(TILES):
        if tiles[value] != HIDDEN:
            tile = bodies[FIRST_TILE + value]
            tile_obs[row, value + 1] = F(1.0)  # as in Unity: of the highest one, its place takes the place
            tile_obs[row, PLACE] = (tile.x - agent.x) / SCALE
            tile_obs[row, PLACE + 1] = (tile.z - agent.z) / SCALE
            tile_obs[row, SEEN] = F(1.0) if tiles[value] == VISITED else F(0.0)
            row += 1
    c, s = math.cos(agent.yaw), math.sin(agent.yaw)
    body_obs[7] = c * agent.vx - s * agent.vz
    body_obs[8] = agent.climb
    body_obs[9] = s * agent.vx + c * agent.vz
    pose_obs[:4] = pose_obs[4:]
    pose_obs[4], pose_obs[5], pose_obs[6], pose_obs[7] = agent.x / SCALE, agent.z / SCALE, s, c
