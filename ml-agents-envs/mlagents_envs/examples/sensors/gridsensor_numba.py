"""Which bodies lie in the cells of a grid sensor, compiled: body after body, each with the cells near it."""

from __future__ import annotations

import math

import numpy as np

from mlagents_envs.compiled import ORDINARY, compiled

F = np.float32
HALF = F(0.5)  # m, of a cell
EMPTY = F(1e9)  # farther off than anything


@compiled(inline="always")
def cells_within(low, high, spread, count):
    """Return the first cell and the one after the last that reach between low and high, m from the field's middle."""
    middle = F(count - 1) * HALF
    first = math.ceil((low - HALF) / spread + middle)
    stop = math.floor((high + HALF) / spread + middle) + 1
    return max(0, int(first)), min(count, int(stop))


@compiled(inline="always")
def half_width(body, y):
    """Return the radius of a ball at height y, or half a box's width; negative: it is not there at that height."""
    if y < body.low or y > body.high:
        return F(-1.0)
    if not body.round:
        return body.half_x
    off = y - (body.low + body.high) * HALF
    return math.sqrt(max(body.half_x * body.half_x - off * off, F(0.0)))


@compiled(fastmath=ORDINARY)
def survey(bodies, me, grid, spread, seen):
    """Write what the Grid of body `me` shows into `seen`, (tags, across, along), which must be zeros.

    spread: m between the middles of cells, which stay 1 m wide: in Unity, the agent's scale.
    """
    agent = bodies[me]
    grid.nearest[:] = EMPTY
    c, s = F(math.cos(agent.yaw)), F(math.sin(agent.yaw))
    y = (agent.low + agent.high) * HALF
    x, z = agent.x + s * F(grid.ahead), agent.z + c * F(grid.ahead)
    for j in range(len(bodies)):
        body = bodies[j]
        if j != me and body.on and body.tag >= 0 and grid.channels[body.tag] >= 0:
            width = half_width(body, y)
            if width >= 0:
                show(body, width, x, z, c, s, spread, grid.channels[body.tag], grid.nearest, grid.shown, seen)


@compiled(fastmath=ORDINARY)
def show(body, width, x, z, c, s, spread, channel, nearest, shown, seen):
    """Show a body in its cells; (x, z): the field's middle, (c, s): cosine and sine of its yaw."""
    across, along = nearest.shape
    dx, dz = body.x - x, body.z - z
    right, ahead = c * dx - s * dz, s * dx + c * dz
    # the body's own axes and its extent, along the field's axes (reach) and along the area's (around)
    if body.round:
        bc, bs, reach_x, reach_z = F(1.0), F(0.0), width, width
        around_x = around_z = body.half_x
    else:
        wc, ws = F(math.cos(body.yaw)), F(math.sin(body.yaw))
        bc, bs = wc * c + ws * s, ws * c - wc * s
        reach_x = abs(bc) * body.half_x + abs(bs) * body.half_z
        reach_z = abs(bs) * body.half_x + abs(bc) * body.half_z
        around_x = abs(wc) * body.half_x + abs(ws) * body.half_z
        around_z = abs(ws) * body.half_x + abs(wc) * body.half_z
    cell = HALF * (abs(bc) + abs(bs))  # half a cell's extent along the body's axes
    first, stop = cells_within(right - reach_x, right + reach_x, spread, across)
    begin, end = cells_within(ahead - reach_z, ahead + reach_z, spread, along)
    for i in range(first, stop):
        u = (F(i) - F(across - 1) * HALF) * spread
        for k in range(begin, end):
            v = (F(k) - F(along - 1) * HALF) * spread
            px, pz = u - right, v - ahead
            if body.round:
                ox, oz = max(F(0.0), abs(px) - HALF), max(F(0.0), abs(pz) - HALF)
                inside = ox * ox + oz * oz <= width * width
            else:
                inside = abs(bc * px - bs * pz) <= body.half_x + cell and abs(bs * px + bc * pz) <= body.half_z + cell
            if inside:
                # from the field's middle to the point of the body's upright bounds that is nearest to the cell
                qx = min(max(c * u + s * v, dx - around_x), dx + around_x)
                qz = min(max(c * v - s * u, dz - around_z), dz + around_z)
                far = qx * qx + qz * qz
                place = across - 1 - i
                if far < nearest[place, k]:
                    if nearest[place, k] < EMPTY:
                        seen[shown[place, k], place, k] = F(0.0)
                    nearest[place, k], shown[place, k] = far, channel
                    seen[channel, place, k] = F(1.0)
