"""The physics of 3DBall, one agent after another, compiled."""

from __future__ import annotations

import math

import numpy as np

from mlagents_envs.compiled import ORDINARY, compiled
from mlagents_envs.examples.engine.rng_numba import bits

F = np.float32
DT = F(0.02)
HALF = F(2.5)  # of the platform's edge
FRICTION = F(0.6)  # of the default material
SPIN_LEFT = F(1 - 0.01 * 0.02)  # of the ball's spin after a step of angular drag
TILT = F(0.25)  # of the quaternion's component, beyond which the platform turns no further
TURN = F(math.pi / 180)  # half of the two degrees that an action of 1 turns
STEPS = 5  # of physics in a decision
LIMIT = 5000  # physics steps of an episode


@compiled(inline="always")
def uniform(rng, i):
    """Return a number in [-1, 1)."""
    return F(bits(rng, i) >> np.uint64(40)) * F(2.0 / 16777216.0) - F(1.0)


@compiled()
def begin_one(state, rng, clock, radius, next_radius, i):
    """Tilt the platform by up to 10 degrees about x and z, and let the ball fall from 4 above."""
    x = F(math.radians(5.0)) * uniform(rng, i)
    z = F(math.radians(5.0)) * uniform(rng, i)
    cx, sx, cz, sz = math.cos(x), math.sin(x), math.cos(z), math.sin(z)
    s = state[i]
    s[:] = F(0.0)
    s[0], s[1], s[2], s[3] = cx * cz, sx * cz, -sx * sz, cx * sz
    s[4] = F(1.5) * uniform(rng, i)
    s[5] = F(4.0)
    s[6] = F(1.5) * uniform(rng, i)
    clock[i] = 0
    radius[i] = next_radius[i]


@compiled()
def begin(state, rng, clock, radius, next_radius):
    """Begin every episode."""
    for i in range(len(clock)):
        begin_one(state, rng, clock, radius, next_radius, i)


@compiled(inline="always")
def turn(s, about_z, about_x):
    """Turn the platform about its own z, then its own x, by twice these angles, where its tilt allows."""
    q0, q1, q2, q3 = s[0], s[1], s[2], s[3]
    if (q3 < TILT and about_z > 0) or (q3 > -TILT and about_z < 0):
        c, k = math.cos(about_z), math.sin(about_z)
        q0, q1, q2, q3 = q0 * c - q3 * k, q1 * c + q2 * k, q2 * c - q1 * k, q3 * c + q0 * k
    if (q1 < TILT and about_x > 0) or (q1 > -TILT and about_x < 0):
        c, k = math.cos(about_x), math.sin(about_x)
        q0, q1, q2, q3 = q0 * c - q1 * k, q1 * c + q0 * k, q2 * c + q3 * k, q3 * c - q2 * k
    s[0], s[1], s[2], s[3] = q0, q1, q2, q3


@compiled(fastmath=ORDINARY)
def fall(s, gravity, r):
    """Move the ball of radius r by one physics step: gravity, contact and friction with the platform."""
    q0, q1, q2, q3 = s[0], s[1], s[2], s[3]
    x, y, z, vx, vy, vz, wx, wy, wz = s[4], s[5], s[6], s[7], s[8], s[9], s[10], s[11], s[12]
    vy -= gravity * DT
    wx, wy, wz = wx * SPIN_LEFT, wy * SPIN_LEFT, wz * SPIN_LEFT
    m00, m01, m02 = 1 - 2 * (q2 * q2 + q3 * q3), 2 * (q1 * q2 - q0 * q3), 2 * (q1 * q3 + q0 * q2)
    m10, m11, m12 = 2 * (q1 * q2 + q0 * q3), 1 - 2 * (q1 * q1 + q3 * q3), 2 * (q2 * q3 - q0 * q1)
    m20, m21, m22 = 2 * (q1 * q3 - q0 * q2), 2 * (q2 * q3 + q0 * q1), 1 - 2 * (q1 * q1 + q2 * q2)
    # where the ball is as the platform sees it, and the nearest point of the platform
    lx, ly, lz = m00 * x + m10 * y + m20 * z, m01 * x + m11 * y + m21 * z, m02 * x + m12 * y + m22 * z
    dx, dy, dz = lx - min(max(lx, -HALF), HALF), ly - min(max(ly, -HALF), HALF), lz - min(max(lz, -HALF), HALF)
    d = math.sqrt(dx * dx + dy * dy + dz * dz)
    if d < F(1e-6):  # inside: out through the top
        dx, dy, dz, gap = F(0.0), F(1.0), F(0.0), ly - HALF - r
    else:
        dx, dy, dz, gap = dx / d, dy / d, dz / d, d - r
    if gap < F(0.5):
        nx, ny, nz = m00 * dx + m01 * dy + m02 * dz, m10 * dx + m11 * dy + m12 * dz, m20 * dx + m21 * dy + m22 * dz
        press = -(vx * nx + vy * ny + vz * nz + max(gap, F(0.0)) / DT)
        if press > 0:
            vx, vy, vz = vx + press * nx, vy + press * ny, vz + press * nz
            # velocity of the ball's surface where it touches, along the platform
            tx, ty, tz = vx - r * (wy * nz - wz * ny), vy - r * (wz * nx - wx * nz), vz - r * (wx * ny - wy * nx)
            t = tx * nx + ty * ny + tz * nz
            tx, ty, tz = tx - t * nx, ty - t * ny, tz - t * nz
            slide = math.sqrt(tx * tx + ty * ty + tz * tz) + F(1e-9)
            grip = -min(slide / F(3.5), FRICTION * press) / slide  # a solid ball gives way like 1/3.5 of its mass
            jx, jy, jz = grip * tx, grip * ty, grip * tz
            vx, vy, vz = vx + jx, vy + jy, vz + jz
            k = F(2.5) / r
            wx, wy, wz = wx - k * (ny * jz - nz * jy), wy - k * (nz * jx - nx * jz), wz - k * (nx * jy - ny * jx)
        push = min(max(-gap, F(0.0)), F(0.2))
        x, y, z = x + push * nx, y + push * ny, z + push * nz
    s[4], s[5], s[6] = x + vx * DT, y + vy * DT, z + vz * DT
    s[7], s[8], s[9], s[10], s[11], s[12] = vx, vy, vz, wx, wy, wz


@compiled(inline="always")
def look(s, seen):
    """Write what the agent sees, 8 numbers."""
    seen[0], seen[1] = s[3], s[1]
    for k in range(6):
        seen[2 + k] = s[4 + k]


@compiled()
def decide(
    state, rng, clock, radius, next_radius, action, gravity, reward, done, interrupted, last, now, ended,
):  # fmt: skip
    """Simulate one decision of every agent. Writes all of the last six; `last` and `ended` only where an episode ended.

    last, now: (n, 8) what agents see; ended: (n, 13) states in which episodes ended.
    """
    for i in range(len(clock)):
        s = state[i]
        about_z = min(max(action[i, 0], F(-1.0)), F(1.0)) * TURN
        about_x = min(max(action[i, 1], F(-1.0)), F(1.0)) * TURN
        reward[i] = F(0.1)
        for _ in range(STEPS):
            turn(s, about_z, about_x)
            clock[i] += 1
            lost = s[5] < F(-2.0) or abs(s[4]) > F(3.0) or abs(s[6]) > F(3.0)
            if lost or clock[i] >= LIMIT:
                if not done[i]:
                    done[i] = True
                    interrupted[i] = not lost
                    if lost:
                        reward[i] = F(-1.0)
                    look(s, last[i])
                    ended[i] = s
                begin_one(state, rng, clock, radius, next_radius, i)
                about_z = about_x = F(0.0)  # the new agent has not decided yet
            fall(s, F(gravity), radius[i])
        look(s, now[i])
