"""Rays thrown at boxes and spheres, one per pixel, compiled.

A camera is `painter.Camera`. A pixel's ray is what lies at origin + t * direction, and t grows from the camera on.
Shapes: (k, 13) float32, rows of SHAPE; round: (k,) bool, which of them are spheres.
"""

from __future__ import annotations

import math

import numpy as np

from mlagents_envs.compiled import ORDINARY, compiled

F = np.float32
FAR = F(1e9)
NEAR = F(0.05)  # m before the camera, where things begin to be seen
NOTHING = -1
AMBIENT, FROM_ABOVE, SUN = F(0.54), F(0.12), F(0.50)  # shares of light
SOFT = 1  # texels to each side over which the edge of a shadow is smoothed


@compiled(inline="always")
def turn(q, x, y, z, back):
    """Return a vector turned by a quaternion, or turned back (back: -1)."""
    qx, qy, qz, qw = back * q[0], back * q[1], back * q[2], q[3]
    tx, ty, tz = F(2) * (qy * z - qz * y), F(2) * (qz * x - qx * z), F(2) * (qx * y - qy * x)
    return x + qw * tx + qy * tz - qz * ty, y + qw * ty + qz * tx - qx * tz, z + qw * tz + qx * ty - qy * tx


@compiled(inline="always")
def project(camera, x, y, z):
    """Return column, row and depth of a point."""
    x, y, z = x - camera.eye[0], y - camera.eye[1], z - camera.eye[2]
    r, u, f = camera.right, camera.up, camera.forward
    across, above = r[0] * x + r[1] * y + r[2] * z, u[0] * x + u[1] * y + u[2] * z
    depth = f[0] * x + f[1] * y + f[2] * z
    scale = camera.scale / max(depth, NEAR) if camera.perspective else camera.scale
    return camera.width / F(2) + across * scale, camera.height / F(2) - above * scale, depth


@compiled(inline="always")
def ray(camera, column, row):
    """Return origin and direction, x, y, z each, of the ray through a place in the picture."""
    a, b = (column - camera.width / F(2)) / camera.scale, (camera.height / F(2) - row) / camera.scale
    e, r, u, f = camera.eye, camera.right, camera.up, camera.forward
    x, y, z = r[0] * a + u[0] * b, r[1] * a + u[1] * b, r[2] * a + u[2] * b
    if camera.perspective:
        return e[0], e[1], e[2], f[0] + x, f[1] + y, f[2] + z
    return e[0] + x, e[1] + y, e[2] + z, f[0], f[1], f[2]


@compiled()
def window(camera, shape):
    """Return the first and last column and row, the last excluded, that a shape may cover."""
    left, right, top, bottom = FAR, -FAR, FAR, -FAR
    behind = False
    for corner in range(8):
        x, y, z = turn(
            shape[3:7],
            shape[7] * F(0.5 if corner & 1 else -0.5),
            shape[8] * F(0.5 if corner & 2 else -0.5),
            shape[9] * F(0.5 if corner & 4 else -0.5),
            F(1),
        )
        column, row, depth = project(camera, shape[0] + x, shape[1] + y, shape[2] + z)
        behind = behind or (camera.perspective and depth <= NEAR)
        left, right, top, bottom = min(left, column), max(right, column), min(top, row), max(bottom, row)
    if behind:
        return 0, int(camera.width), 0, int(camera.height)
    return (
        max(0, int(left) - 1), min(int(camera.width), int(right) + 2),
        max(0, int(top) - 1), min(int(camera.height), int(bottom) + 2),
    )  # fmt: skip


@compiled(inline="always")
def slab(o, d, half):
    """Return where a ray along one axis enters and leaves -half..half."""
    if abs(d) < F(1e-9):
        return (-FAR, FAR) if abs(o) <= half else (FAR, -FAR)
    first, second = (-half - o) / d, (half - o) / d
    return min(first, second), max(first, second)


@compiled(inline="always")
def meet_box(ox, oy, oz, dx, dy, dz, hx, hy, hz):
    """Return where a ray enters a box with these half edges (FAR: never), and the axis of the face."""
    near_x, far_x = slab(ox, dx, hx)
    near_y, far_y = slab(oy, dy, hy)
    near_z, far_z = slab(oz, dz, hz)
    near, far = max(near_x, max(near_y, near_z)), min(far_x, min(far_y, far_z))
    if near > far or near < NEAR:
        return FAR, 0
    return near, (0 if near == near_x else 1 if near == near_y else 2)


@compiled(inline="always")
def meet_sphere(ox, oy, oz, dx, dy, dz):
    """Return where a ray enters the sphere of radius 1 (FAR: never)."""
    a, b, c = dx * dx + dy * dy + dz * dz, ox * dx + oy * dy + oz * dz, ox * ox + oy * oy + oz * oz - F(1)
    under = b * b - a * c
    if under < 0:
        return FAR
    t = (-b - math.sqrt(under)) / a
    return t if t >= NEAR else FAR


@compiled(fastmath=ORDINARY)
def trace(camera, shapes, round, depth, which, normal):
    """Find what pixels show: depth (h, w), FAR for nothing; which shape (h, w); normal (h, w, 3) of its surface."""
    depth[:], which[:] = FAR, NOTHING
    for i in range(len(shapes)):
        shape = shapes[i]
        q = shape[3:7]
        hx, hy, hz = shape[7] / F(2), shape[8] / F(2), shape[9] / F(2)
        left, right, top, bottom = window(camera, shape)
        for row in range(top, bottom):
            for column in range(left, right):
                ox, oy, oz, dx, dy, dz = ray(camera, F(column) + F(0.5), F(row) + F(0.5))
                ox, oy, oz = turn(q, ox - shape[0], oy - shape[1], oz - shape[2], F(-1))
                dx, dy, dz = turn(q, dx, dy, dz, F(-1))
                if round[i]:
                    ox, oy, oz, dx, dy, dz = ox / hx, oy / hy, oz / hz, dx / hx, dy / hy, dz / hz
                    t = meet_sphere(ox, oy, oz, dx, dy, dz)
                    nx, ny, nz = (ox + t * dx) / hx, (oy + t * dy) / hy, (oz + t * dz) / hz
                else:
                    t, axis = meet_box(ox, oy, oz, dx, dy, dz, hx, hy, hz)
                    nx = -np.sign(dx) if axis == 0 else F(0)
                    ny = -np.sign(dy) if axis == 1 else F(0)
                    nz = -np.sign(dz) if axis == 2 else F(0)
                if t < depth[row, column]:
                    length = math.sqrt(nx * nx + ny * ny + nz * nz)
                    nx, ny, nz = turn(q, nx / length, ny / length, nz / length, F(1))
                    depth[row, column], which[row, column] = t, i
                    normal[row, column, 0], normal[row, column, 1], normal[row, column, 2] = nx, ny, nz


@compiled(inline="always")
def lit(sun, shadow, x, y, z, slack):
    """Return the share of sunlight that reaches a point. shadow: (s, s) depth as the sun sees it; slack: in m."""
    column, row, depth = project(sun, x, y, z)
    i, j = int(np.floor(row)), int(np.floor(column))
    bright, samples = 0, 0
    for k in range(i - SOFT, i + SOFT + 1):
        for m in range(j - SOFT, j + SOFT + 1):
            samples += 1
            inside = 0 <= k < shadow.shape[0] and 0 <= m < shadow.shape[1]
            if not inside or shadow[k, m] > depth - slack:
                bright += 1
    return F(bright) / F(samples)


@compiled(fastmath=ORDINARY)
def shade(camera, sun, shapes, depth, which, normal, shadow, slack, picture):
    """Color every pixel that shows something; picture: (h, w, 3) float32, 0..1, which holds the background."""
    lx, ly, lz = -sun.forward[0], -sun.forward[1], -sun.forward[2]
    for row in range(picture.shape[0]):
        for column in range(picture.shape[1]):
            i = which[row, column]
            if i == NOTHING:
                continue
            ox, oy, oz, dx, dy, dz = ray(camera, F(column) + F(0.5), F(row) + F(0.5))
            t = depth[row, column]
            nx, ny, nz = normal[row, column, 0], normal[row, column, 1], normal[row, column, 2]
            facing = nx * lx + ny * ly + nz * lz
            light = AMBIENT + FROM_ABOVE * ny
            if facing > 0:
                x, y, z = ox + t * dx + nx * slack, oy + t * dy + ny * slack, oz + t * dz + nz * slack
                light += SUN * facing * lit(sun, shadow, x, y, z, slack)
            for k in range(3):
                picture[row, column, k] = min(F(1), shapes[i, 10 + k] * light)
