"""The physics of 3DBall, all agents at once, where numba is missing. The same steps as `ball3d_numba`, in its order."""

from __future__ import annotations

import numpy as np

from mlagents_envs.examples.example import Array

F = np.float32
DT, HALF, FRICTION, SPIN_LEFT = F(0.02), F(2.5), F(0.6), F(1 - 0.01 * 0.02)
TILT, TURN, STEPS, LIMIT = F(0.25), F(np.pi / 180), 5, 5000


def uniform(rng: Array, who: Array) -> Array:
    """Return numbers in [-1, 1), one from the own generator of each area in `who`."""
    x = rng[who]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    rng[who] = x
    drawn: Array = ((x * np.uint64(2685821657736338717)) >> np.uint64(40)).astype(F) * F(2.0 / 16777216.0) - F(1.0)
    return drawn


def begin_some(state: Array, rng: Array, clock: Array, radius: Array, next_radius: Array, who: Array) -> None:
    """Begin the episodes of the areas in `who`."""
    x, z = (F(np.radians(5.0)) * uniform(rng, who) for _ in range(2))
    cx, sx, cz, sz = np.cos(x), np.sin(x), np.cos(z), np.sin(z)
    state[who] = 0.0
    state[who, :4] = np.stack([cx * cz, sx * cz, -sx * sz, cx * sz], 1)
    state[who, 4] = F(1.5) * uniform(rng, who)
    state[who, 5] = 4.0
    state[who, 6] = F(1.5) * uniform(rng, who)
    clock[who] = 0
    radius[who] = next_radius[who]


def begin(state: Array, rng: Array, clock: Array, radius: Array, next_radius: Array) -> None:
    """Begin every episode."""
    begin_some(state, rng, clock, radius, next_radius, np.arange(len(clock)))


def turn(state: Array, about_z: Array, about_x: Array) -> None:
    """Turn the platforms about their own z, then their own x, by twice these angles, where their tilt allows."""
    q0, q1, q2, q3 = state[:, :4].T.copy()
    angle = np.where(((q3 < TILT) & (about_z > 0)) | ((q3 > -TILT) & (about_z < 0)), about_z, F(0))
    c, k = np.cos(angle), np.sin(angle)
    q0, q1, q2, q3 = q0 * c - q3 * k, q1 * c + q2 * k, q2 * c - q1 * k, q3 * c + q0 * k
    angle = np.where(((q1 < TILT) & (about_x > 0)) | ((q1 > -TILT) & (about_x < 0)), about_x, F(0))
    c, k = np.cos(angle), np.sin(angle)
    state[:, :4] = np.stack([q0 * c - q1 * k, q1 * c + q0 * k, q2 * c + q3 * k, q3 * c - q2 * k], 1)


def matrices(q: Array) -> Array:
    """(n, 3, 3) rotations of (n, 4) quaternions, w first."""
    w, x, y, z = q.T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, 1) for row in rows], 1)


def fall(state: Array, gravity: float, radius: Array) -> None:
    """Move the balls by one physics step: gravity, contact and friction with the platform."""
    position, velocity, spin = state[:, 4:7], state[:, 7:10].copy(), state[:, 10:13] * SPIN_LEFT
    velocity[:, 1] -= F(gravity) * DT
    rotation = matrices(state[:, :4])
    seen = np.einsum("nji,nj->ni", rotation, position)  # as the platform sees it
    off = seen - np.clip(seen, -HALF, HALF)
    distance = np.sqrt((off * off).sum(1))
    inside = distance < 1e-6
    out = np.where(inside[:, None], np.array([0, 1, 0], F), off / np.maximum(distance, F(1e-6))[:, None])
    gap = np.where(inside, seen[:, 1] - HALF, distance) - radius
    normal = np.einsum("nij,nj->ni", rotation, out)
    near = gap < 0.5
    press = -((velocity * normal).sum(1) + np.maximum(gap, F(0)) / DT)
    press = np.where(near, np.maximum(press, F(0)), F(0))
    velocity += press[:, None] * normal
    surface = velocity - radius[:, None] * np.cross(spin, normal)
    surface -= (surface * normal).sum(1, keepdims=True) * normal
    slide = np.sqrt((surface * surface).sum(1)) + F(1e-9)
    impulse = (-np.minimum(slide / F(3.5), FRICTION * press) / slide)[:, None] * surface
    velocity += impulse
    spin -= (F(2.5) / radius)[:, None] * np.cross(normal, impulse)
    push = np.where(near, np.clip(-gap, F(0), F(0.2)), F(0))
    state[:, 4:7] = position + push[:, None] * normal + velocity * DT
    state[:, 7:10], state[:, 10:13] = velocity, spin


def look(state: Array) -> Array:
    """(n, 8) what agents see."""
    return state[:, [3, 1, 4, 5, 6, 7, 8, 9]]


def decide(
    state: Array, rng: Array, clock: Array, radius: Array, next_radius: Array, action: Array, gravity: float,
    reward: Array, done: Array, interrupted: Array, last: Array, now: Array, ended: Array,
) -> None:  # fmt: skip
    """Simulate one decision of every agent. Writes all of the last six; `last` and `ended` only where an episode ended.

    last, now: (n, 8) what agents see; ended: (n, 13) states in which episodes ended.
    """
    about = np.clip(action, F(-1), F(1)) * TURN
    reward[:] = 0.1
    for _ in range(STEPS):
        turn(state, about[:, 0], about[:, 1])
        clock += 1
        lost = (state[:, 5] < -2) | (np.abs(state[:, 4]) > 3) | (np.abs(state[:, 6]) > 3)
        ends = lost | (clock >= LIMIT)
        if ends.any():
            new = ends & ~done
            done |= new
            interrupted[new] = ~lost[new]
            reward[new & lost] = -1.0
            last[new], ended[new] = look(state)[new], state[new]
            begin_some(state, rng, clock, radius, next_radius, np.flatnonzero(ends))
            about[ends] = 0.0  # the new agent has not decided yet
        fall(state, gravity, radius)
    now[:] = look(state)
