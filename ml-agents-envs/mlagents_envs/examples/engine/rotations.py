"""Unity's rotations, many at once: quaternions x, y, z, w in the last axis, in left-handed axes with y up."""

from __future__ import annotations

import numpy as np

from mlagents_envs.examples.drawing import Array

_NEXT, _LAST = [1, 2, 0], [2, 0, 1]
_BACKWARDS = np.array([-1.0, -1.0, -1.0, 1.0], np.float32)


def cross(a: Array, b: Array) -> Array:
    """Return the cross products of vectors, as numpy's but several times as fast for few of them."""
    product: Array = a[..., _NEXT] * b[..., _LAST] - a[..., _LAST] * b[..., _NEXT]
    return product


def inverse(q: Array) -> Array:
    """Return the rotations back."""
    back: Array = q * _BACKWARDS
    return back


def after(second: Array, first: Array) -> Array:
    """Return what turns by `first` and then by `second`, as second * first is in Unity."""
    u, s, v, t = second[..., :3], second[..., 3:], first[..., :3], first[..., 3:]
    vector = s * v + t * u + cross(u, v)
    return np.concatenate([vector, s * t - (u * v).sum(-1, keepdims=True)], axis=-1)


def turn(q: Array, v: Array) -> Array:
    """Return vectors turned by q."""
    u = q[..., :3]
    by = 2 * cross(u, v)
    turned: Array = v + q[..., 3:] * by + cross(u, by)
    return turned


def front(q: Array) -> Array:
    """Return the forward direction after a rotation by q: z where q is the identity."""
    x, y, z, w = np.moveaxis(q, -1, 0)
    return np.stack([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)], axis=-1)


def between(a: Array, b: Array) -> Array:
    """Return the shortest rotations from directions a to directions b, both (n, 3) of length 1."""
    q = np.concatenate([cross(a, b), 1 + (a * b).sum(-1, keepdims=True)], axis=-1)
    q[q[:, 3] < 1e-6] = (0.0, 1.0, 0.0, 0.0)  # right behind: which way round does not matter
    shortest: Array = q / np.linalg.norm(q, axis=-1, keepdims=True)
    return shortest


def angle(a: Array, b: Array) -> Array:
    """Return the degrees between rotations."""
    half = np.abs((a * b).sum(-1)).clip(0.0, 1.0)
    degrees: Array = np.degrees(2 * np.arccos(half))
    return degrees
