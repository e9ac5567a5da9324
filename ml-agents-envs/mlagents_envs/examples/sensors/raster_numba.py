"""Convex shapes seen from above, filled row by row, compiled."""

from __future__ import annotations

import math

import numpy as np

from mlagents_envs.compiled import ORDINARY, compiled

F = np.float32
FAR = F(1e30)
HALF = F(0.5)


@compiled(inline="always", fastmath=ORDINARY)
def span(corners, z):
    """Return where the line at this z enters and leaves a convex polygon; it enters after it leaves if it misses."""
    left, right = FAR, -FAR
    ax, az = corners[-1, 0], corners[-1, 1]
    for k in range(len(corners)):
        bx, bz = corners[k, 0], corners[k, 1]
        if az != bz and min(az, bz) <= z <= max(az, bz):
            x = ax + (bx - ax) * (z - az) / (bz - az)
            left, right = min(left, x), max(right, x)
        ax, az = bx, bz
    return left, right


@compiled(fastmath=ORDINARY)
def fill(corners, bounds, upright, color, x, z, scale, image):
    """Fill a polygon, enlarged and moved to column x and row z; pixels whose middle lies in it take the color."""
    rows, columns = image.shape[1], image.shape[2]
    left, right, lowest, highest = bounds
    first = max(0, math.ceil(z - scale * highest - HALF))
    last = min(rows - 1, math.floor(z - scale * lowest - HALF))
    red, green, blue = color
    for row in range(first, last + 1):
        if not upright:
            left, right = span(corners, (z - F(row) - HALF) / scale)
        start = max(0, math.ceil(x + scale * left - HALF))
        stop = min(columns - 1, math.floor(x + scale * right - HALF))
        for column in range(start, stop + 1):
            image[0, row, column], image[1, row, column], image[2, row, column] = red, green, blue


@compiled(fastmath=ORDINARY)
def paint(parts, begins, background, things, many, views, wanted, images):
    """Paint what each wanted area's camera sees. See raster.Painter for the columns."""
    corners, counts, bounds, upright, colors = parts
    height, width = images.shape[2], images.shape[3]
    for i in range(len(images)):
        if not wanted[i]:
            continue
        image = images[i]
        for channel in range(3):
            plane, level = image[channel].reshape(-1), background[channel]
            for k in range(len(plane)):
                plane[k] = level
        pixels = F(height) / views[i, 2]  # per meter
        for k in range(many[i]):
            shape, scale = int(things[i, k, 0]), things[i, k, 3] * pixels
            x = HALF * F(width) + (things[i, k, 1] - views[i, 0]) * pixels
            z = HALF * F(height) - (things[i, k, 2] - views[i, 1]) * pixels
            for part in range(begins[shape], begins[shape + 1]):
                fill(
                    corners[part, : counts[part]],
                    (bounds[part, 0], bounds[part, 1], bounds[part, 2], bounds[part, 3]),
                    upright[part],
                    (colors[part, 0], colors[part, 1], colors[part, 2]),
                    x,
                    z,
                    scale,
                    image,
                )
