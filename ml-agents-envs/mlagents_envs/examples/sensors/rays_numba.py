"""Casting rays among planar bodies, compiled: bodies outside, rays inside, so that rays are cast several at once."""

from __future__ import annotations

import math

import numpy as np

from mlagents_envs.compiled import ORDINARY, compiled

F = np.float32
RADIUS = F(0.5)  # of the balls that are thrown
TINY = F(1e-9)  # keeps a direction along an axis from dividing by zero
WAY_X, WAY_Z, BY_X, BY_Y, BY_Z, BEST, HIT = range(
    7
)  # rows of the scratch: direction, its inverse, nearest so far, whose


@compiled(fastmath=ORDINARY, inline="always")
def entry(x0, x1, z0, z1, y0, y1, by_x, by_y, by_z):
    """Return where a ray from the origin enters and leaves a box that is aligned with it; by: inverse directions."""
    p, q = x0 * by_x, x1 * by_x
    enter, leave = min(p, q), max(p, q)
    p, q = z0 * by_z, z1 * by_z
    enter, leave = max(enter, min(p, q)), min(leave, max(p, q))
    p, q = y0 * by_y, y1 * by_y
    return max(enter, min(p, q)), min(leave, max(p, q))


@compiled(fastmath=ORDINARY)
def meet_box(body, dx, dz, y, which, first, stop, reach, work):
    """Try rays first..stop at a box whose sides are `reach` further out; (dx, dz): its middle, y: where rays start."""
    y0, y1 = body.low - RADIUS - y, body.high + RADIUS - y
    best, hit = work[BEST], work[HIT]
    if body.yaw == 0:
        x0, x1 = dx - body.half_x - reach, dx + body.half_x + reach
        z0, z1 = dz - body.half_z - reach, dz + body.half_z + reach
        by_x, by_y, by_z = work[BY_X], work[BY_Y], work[BY_Z]
        for r in range(first, stop):
            enter, leave = entry(x0, x1, z0, z1, y0, y1, by_x[r], by_y[r], by_z[r])
            meets = (enter <= leave) & (enter > F(0.0)) & (enter < best[r])
            best[r] = enter if meets else best[r]
            hit[r] = which if meets else hit[r]
        return
    c, s = F(math.cos(body.yaw)), F(math.sin(body.yaw))
    lx, lz = c * dx - s * dz, s * dx + c * dz
    x0, x1 = lx - body.half_x - reach, lx + body.half_x + reach
    z0, z1 = lz - body.half_z - reach, lz + body.half_z + reach
    way_x, by_y, way_z = work[WAY_X], work[BY_Y], work[WAY_Z]
    for r in range(first, stop):
        by_x = F(1.0) / (c * way_x[r] - s * way_z[r] + TINY)
        by_z = F(1.0) / (s * way_x[r] + c * way_z[r] + TINY)
        enter, leave = entry(x0, x1, z0, z1, y0, y1, by_x, by_y[r], by_z)
        meets = (enter <= leave) & (enter > F(0.0)) & (enter < best[r])
        best[r] = enter if meets else best[r]
        hit[r] = which if meets else hit[r]


@compiled(fastmath=ORDINARY)
def meet_disc(body, dx, dz, y, which, first, stop, reach, work):
    """Try rays first..stop at a disc, an upright cylinder."""
    y0, y1 = body.low - RADIUS - y, body.high + RADIUS - y
    around = body.half_x + reach
    beyond = dx * dx + dz * dz - around * around
    if beyond <= 0:
        return
    best, hit, way_x, way_z, by_y = work[BEST], work[HIT], work[WAY_X], work[WAY_Z], work[BY_Y]
    for r in range(first, stop):
        level = way_x[r] * way_x[r] + way_z[r] * way_z[r]
        along = dx * way_x[r] + dz * way_z[r]
        inside = along * along - level * beyond
        half = math.sqrt(max(inside, F(0.0)))
        p, q = y0 * by_y[r], y1 * by_y[r]
        enter, leave = max((along - half) / level, min(p, q)), min((along + half) / level, max(p, q))
        meets = (inside > F(0.0)) & (enter <= leave) & (enter > F(0.0)) & (enter < best[r])
        best[r] = enter if meets else best[r]
        hit[r] = which if meets else hit[r]


@compiled(fastmath=ORDINARY, inline="always")
def level_reach(body, y):
    """Return how far from its sides a body stops a ball that is thrown level at height y; negative: it does not.

    A ball whose middle is higher than the body or lower touches its edge with less than its radius.
    """
    off = max(max(y - body.high, body.low - y), F(0.0))
    return math.sqrt(RADIUS * RADIUS - off * off) if off < RADIUS else F(-1.0)


@compiled(fastmath=ORDINARY)
def aim(agent, ways, work):
    """Rotate the rays with the agent, clear their hits, and return the longest length."""
    c, s = F(math.cos(agent.yaw)), F(math.sin(agent.yaw))
    longest = F(0.0)
    for r in range(ways.shape[1]):
        way_x = c * ways[0, r] + s * ways[2, r]
        way_z = -s * ways[0, r] + c * ways[2, r]
        work[WAY_X, r], work[WAY_Z, r] = way_x, way_z
        work[BY_X, r], work[BY_Z, r] = F(1.0) / (way_x + TINY), F(1.0) / (way_z + TINY)
        work[BY_Y, r] = F(1.0) / (ways[1, r] + TINY)
        work[BEST, r], work[HIT, r] = ways[3, r], F(-1.0)
        longest = max(longest, ways[3, r])
    return longest


@compiled(fastmath=ORDINARY)
def cast(bodies, me, rays, seen):
    """Cast the Rays of body `me`: write for each a one-hot of tags, whether it missed, and how far it went."""
    agent = bodies[me]
    count, level, work = rays.ways.shape[1], rays.level, rays.work
    y = (agent.low + agent.high) / F(2.0) + F(rays.start)
    longest = aim(agent, rays.ways, work)
    for j in range(len(bodies)):
        body = bodies[j]
        if not body.on or j == me:
            continue
        dx, dz = body.x - agent.x, body.z - agent.z
        far = (body.half_x if body.round else body.half_x + body.half_z) + RADIUS + longest
        if dx * dx + dz * dz > far * far:
            continue
        reach = level_reach(body, y)
        if body.round:
            if reach >= 0:
                meet_disc(body, dx, dz, y, F(j), 0, level, reach, work)
            meet_disc(body, dx, dz, y, F(j), level, count, RADIUS, work)
        else:
            if reach >= 0:
                meet_box(body, dx, dz, y, F(j), 0, level, reach, work)
            meet_box(body, dx, dz, y, F(j), level, count, RADIUS, work)
    write_hits(bodies, rays, seen)


@compiled()
def write_hits(bodies, rays, seen):
    """Write what each ray met."""
    count, work, channels = rays.ways.shape[1], rays.work, rays.channels
    width = len(seen) // count
    seen[:] = F(0.0)
    for r in range(count):
        place = r * width
        hit = int(work[HIT, r])
        if hit < 0:
            seen[place + width - 2] = seen[place + width - 1] = F(1.0)
            continue
        tag = bodies[hit].tag
        if tag >= 0 and channels[tag] >= 0:
            seen[place + channels[tag]] = F(1.0)
        seen[place + width - 1] = work[BEST, r] / rays.ways[3, r]


@compiled()
def cast_next(bodies, me, rays, frames, size):
    """Cast into the last of stacked frames, each of this size, and forget the oldest."""
    for k in range(len(frames) - size):
        frames[k] = frames[k + size]
    cast(bodies, me, rays, frames[len(frames) - size :])
