"""What a camera sees, painted surface after surface over a depth buffer, compiled.

Points and directions are tuples (x, y, z), lengths in m, colors (red, green, blue) 0..255. A view is
(eye, right, up, forward): where the camera is and its axes, of length 1. Axes of a thing are (right, up, forward) too.

As in Unity, a surface is seen from outside only: a camera inside a box sees through its sides. The sun shines from the
south-east, 40 degrees high, on what faces it; nothing throws a shadow.

Rectangles stay flat in the picture, and 1 / depth grows evenly over them, so a row of pixels costs an addition each.
"""

from __future__ import annotations

import math

import numpy as np

from mlagents_envs.compiled import ORDINARY, compiled
from mlagents_envs.examples.sensors.raster_numba import FAR, HALF, span

F = np.float32
FIELD = F(math.tan(math.radians(30.0)))  # half the picture's height, 1 m before the camera
NEAR = F(0.3)  # m before the camera, where things begin to be seen
TO_SUN = (F(0.5416), F(0.6428), F(-0.5416))
AMBIENT, SUN = F(0.55), F(0.55)  # shares of light
BLUE, HEADBAND, FACE = (33, 150, 243), (250, 166, 41), (15, 15, 15)  # Unity's colors of an agent
# of an agent's cube with edges of 1: its headband; middles of eyes and mouth, and how wide and high they are
BAND_HEIGHT, BAND_HALF = F(0.341), (F(0.522), F(0.0964), F(0.522))
EYE_AT, EYE_HALF = (F(0.3), F(0.074)), F(0.1)
MOUTH_AT, MOUTH_HALF = F(-0.183), (F(0.138), F(0.0212))
BEFORE = F(0.5004)  # where the face is, just before the cube


@compiled(inline="always")
def dot(a, b):
    """Return the scalar product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@compiled(inline="always")
def minus(a, b):
    """Return the way from b to a."""
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


@compiled(inline="always")
def scaled(a, by):
    """Return a direction, longer by a factor."""
    return a[0] * by, a[1] * by, a[2] * by


@compiled(inline="always")
def along(point, axes, right, up, forward):
    """Return the point so far along each axis."""
    return (
        point[0] + right * axes[0][0] + up * axes[1][0] + forward * axes[2][0],
        point[1] + right * axes[0][1] + up * axes[1][1] + forward * axes[2][1],
        point[2] + right * axes[0][2] + up * axes[1][2] + forward * axes[2][2],
    )


@compiled(inline="always")
def upright(yaw):
    """Return the axes of a thing that stands upright and looks there; yaw: rad, 0 along z."""
    c, s = math.cos(yaw), math.sin(yaw)
    return (c, F(0.0), -s), (F(0.0), F(1.0), F(0.0)), (s, F(0.0), c)


@compiled(inline="always")
def rotation(w, x, y, z):
    """Return the axes of a thing that is turned by a quaternion."""
    one, two = F(1.0), F(2.0)
    return (
        (one - two * (y * y + z * z), two * (x * y + w * z), two * (x * z - w * y)),
        (two * (x * y - w * z), one - two * (x * x + z * z), two * (y * z + w * x)),
        (two * (x * z + w * y), two * (y * z - w * x), one - two * (x * x + y * y)),
    )


@compiled(inline="always")
def level(channel, light):
    """Return a channel of a color in this light, as a whole level."""
    return np.uint8(min(F(channel) * light, F(255.0)) + HALF)


@compiled()
def clear(canvas, color):
    """Show nothing but a background of this color."""
    for channel in range(3):
        canvas.image[channel] = color[channel]
    canvas.closeness[:] = F(0.0)


@compiled(inline="always")
def optics(canvas):
    """Return column and row of the picture's middle, and pixels per m at a depth of 1 m."""
    height, width = canvas.closeness.shape
    return HALF * F(width), HALF * F(height), HALF * F(height) / FIELD


@compiled(fastmath=ORDINARY)
def trace_outline(canvas, view, to, first, second):
    """Write where the corners of a rectangle are in the picture, without what is nearer than NEAR; return how many.

    to: from the eye to its middle; first, second: from its middle to two of its edges.
    """
    _, right, up, forward = view
    column, row, focal = optics(canvas)  # of the picture's middle
    x, y, z = dot(right, to), dot(up, to), dot(forward, to)
    first_x, first_y, first_z = dot(right, first), dot(up, first), dot(forward, first)
    second_x, second_y, second_z = dot(right, second), dot(up, second), dot(forward, second)
    count = 0
    before_x, before_y, before_z = x - first_x + second_x, y - first_y + second_y, z - first_z + second_z
    for corner in range(4):
        a = F(1.0) if corner == 1 or corner == 2 else F(-1.0)
        b = F(1.0) if corner >= 2 else F(-1.0)
        here_x = x + a * first_x + b * second_x
        here_y = y + a * first_y + b * second_y
        here_z = z + a * first_z + b * second_z
        if (here_z >= NEAR) != (before_z >= NEAR):
            share = (NEAR - before_z) / (here_z - before_z)
            scale = focal / NEAR
            canvas.outline[count, 0] = column + scale * (before_x + share * (here_x - before_x))
            canvas.outline[count, 1] = row - scale * (before_y + share * (here_y - before_y))
            count += 1
        if here_z >= NEAR:
            scale = focal / here_z
            canvas.outline[count, 0] = column + scale * here_x
            canvas.outline[count, 1] = row - scale * here_y
            count += 1
        before_x, before_y, before_z = here_x, here_y, here_z
    return count


@compiled(fastmath=ORDINARY)
def rectangle(canvas, view, middle, normal, first, second, color):
    """Paint a rectangle, seen from where its normal points; first, second: from its middle to two of its edges."""
    eye, right, up, forward = view
    to = minus(middle, eye)
    off = dot(normal, to)
    if off >= 0:
        return
    count = trace_outline(canvas, view, to, first, second)
    if count == 0:
        return
    height, width = canvas.closeness.shape
    middle_column, middle_row, focal = optics(canvas)
    outline = canvas.outline[:count]
    top, bottom = FAR, -FAR
    for k in range(count):
        top, bottom = min(top, outline[k, 1]), max(bottom, outline[k, 1])
    light = AMBIENT + SUN * max(F(0.0), dot(normal, TO_SUN))
    red, green, blue = level(color[0], light), level(color[1], light), level(color[2], light)
    # 1 / depth of the surface, as a function of column and row
    by_column, by_row = dot(normal, right) / (off * focal), -dot(normal, up) / (off * focal)
    at_corner = dot(normal, forward) / off + (HALF - middle_column) * by_column + (HALF - middle_row) * by_row
    for row in range(max(0, math.ceil(top - HALF)), min(height - 1, math.floor(bottom - HALF)) + 1):
        left, end = span(outline, F(row) + HALF)
        start, stop = max(0, math.ceil(left - HALF)), min(width - 1, math.floor(end - HALF)) + 1
        begin = at_corner + by_row * F(row)
        closeness, image = canvas.closeness[row], canvas.image[:, row]
        for column in range(start, stop):
            near = begin + by_column * F(column)
            if near > closeness[column]:
                closeness[column] = near
                image[0, column], image[1, column], image[2, column] = red, green, blue


@compiled(inline="always")
def facing(canvas, view, middle, normal, first, second, half, color):
    """Paint the one of two opposite sides of a box that the camera sees; half: from the middle to the side."""
    if dot(normal, minus(view[0], middle)) < 0:
        normal = scaled(normal, F(-1.0))
    out = scaled(normal, half)
    at = (middle[0] + out[0], middle[1] + out[1], middle[2] + out[2])
    rectangle(canvas, view, at, normal, first, second, color)


@compiled()
def box(canvas, view, middle, axes, half, color):
    """Paint a box; half: its half edges along its axes."""
    first, second, third = scaled(axes[0], half[0]), scaled(axes[1], half[1]), scaled(axes[2], half[2])
    facing(canvas, view, middle, axes[0], second, third, half[0], color)
    facing(canvas, view, middle, axes[1], first, third, half[1], color)
    facing(canvas, view, middle, axes[2], first, second, half[2], color)


@compiled(inline="always")
def extent(x, z, radius):
    """Return between which slopes x / z a circle is seen from the origin, which is outside."""
    if z <= radius:
        return -FAR, FAR
    root, under = radius * math.sqrt(x * x + z * z - radius * radius), z * z - radius * radius
    return (x * z - root) / under, (x * z + root) / under


@compiled(fastmath=ORDINARY)
def sphere(canvas, view, middle, radius, color):
    """Paint a sphere."""
    eye, right, up, forward = view
    to = minus(middle, eye)
    x, y, z = dot(right, to), dot(up, to), dot(forward, to)
    away = x * x + y * y + z * z - radius * radius
    if away <= 0 or z + radius <= NEAR:
        return
    height, width = canvas.closeness.shape
    middle_column, middle_row, focal = optics(canvas)
    sun_x, sun_y, sun_z = dot(right, TO_SUN), dot(up, TO_SUN), dot(forward, TO_SUN)
    left, end = extent(x, z, radius)
    low, high = extent(y, z, radius)
    start = math.ceil(max(F(0.0), middle_column + focal * left - HALF))
    stop = math.floor(min(F(width - 1), middle_column + focal * end - HALF)) + 1
    top = math.ceil(max(F(0.0), middle_row - focal * high - HALF))
    bottom = math.floor(min(F(height - 1), middle_row - focal * low - HALF)) + 1
    for row in range(top, bottom):
        b = (middle_row - F(row) - HALF) / focal
        closeness, image = canvas.closeness[row], canvas.image[:, row]
        for column in range(start, stop):
            a = (F(column) + HALF - middle_column) / focal
            square, toward = a * a + b * b + F(1.0), a * x + b * y + z
            under = toward * toward - square * away
            if under < 0:
                continue
            depth = (toward - math.sqrt(under)) / square
            if depth < NEAR or F(1.0) / depth <= closeness[column]:
                continue
            sunny = (depth * a - x) * sun_x + (depth * b - y) * sun_y + (depth - z) * sun_z
            light = AMBIENT + SUN * max(F(0.0), sunny / radius)
            closeness[column] = F(1.0) / depth
            for channel in range(3):
                image[channel, column] = level(color[channel], light)


@compiled()
def agent_cube(canvas, view, middle, axes, edge, color):
    """Paint an agent: a cube with a headband, and a face before its forward side."""
    half = HALF * edge
    box(canvas, view, middle, axes, (half, half, half), color)
    at = along(middle, axes, F(0.0), BAND_HEIGHT * edge, F(0.0))
    box(canvas, view, at, axes, (BAND_HALF[0] * edge, BAND_HALF[1] * edge, BAND_HALF[2] * edge), HEADBAND)
    right, up = scaled(axes[0], EYE_HALF * edge), scaled(axes[1], EYE_HALF * edge)
    for side in (-EYE_AT[0], EYE_AT[0]):
        at = along(middle, axes, side * edge, EYE_AT[1] * edge, BEFORE * edge)
        rectangle(canvas, view, at, axes[2], right, up, FACE)
    right, up = scaled(axes[0], MOUTH_HALF[0] * edge), scaled(axes[1], MOUTH_HALF[1] * edge)
    at = along(middle, axes, F(0.0), MOUTH_AT * edge, BEFORE * edge)
    rectangle(canvas, view, at, axes[2], right, up, FACE)


@compiled(fastmath=ORDINARY)
def develop(image, seen):
    """Write an image of whole levels as an observation, 0..1, exactly as a PNG of it is read."""
    for channel in range(len(image)):
        levels, shades = image[channel].reshape(-1), seen[channel].reshape(-1)
        for pixel in range(len(levels)):
            shades[pixel] = F(levels[pixel]) / F(255.0)
