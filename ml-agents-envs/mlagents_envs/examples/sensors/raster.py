"""A camera above a scene that looks straight down: flat shapes painted into pictures, one over the other.

The camera is orthographic: +x is right, +z is up, and a pixel takes the color of what lies under its middle, as
without anti-aliasing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlagents_envs.examples.example import Array
from mlagents_envs.examples.sensors.raster_numba import paint

Color = tuple[int, int, int]  # red, green, blue, 0..255
CORNERS = 6  # that a part may have: those of a box and its shadow together


@dataclass(frozen=True)
class Polygon:
    """A convex polygon of one color."""

    corners: Array  # (corners, 2) x and z, in order around it
    color: Color

    def shadow(self, shift: tuple[float, float], color: Color) -> Polygon:
        """Return what this part covers while it is moved by `shift`: the shadow of an upright block on flat ground."""
        return Polygon(_hull(np.vstack([self.corners, self.corners + shift])), color)


def box(width: float, depth: float, color: Color, *, x: float = 0.0, z: float = 0.0, degrees: float = 0.0) -> Polygon:
    """Return a rectangle with its middle at (x, z), turned clockwise as Unity turns about y."""
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (width / 2, depth / 2)
    return Polygon(corners @ np.array([[cosine, -sine], [sine, cosine]]) + (x, z), color)


class Painter:
    """Paints shapes, each of them one or more parts, for any number of areas."""

    def __init__(
        self, shapes: Sequence[Sequence[Polygon]], background: Color, *, height: int = 64, width: int = 84
    ) -> None:
        parts = [part for shape in shapes for part in shape]
        corners = np.stack([_padded(part.corners) for part in parts]).astype(np.float32)
        x, z = corners[..., 0], corners[..., 1]
        self._parts = (
            corners,
            np.array([len(part.corners) for part in parts]),
            np.stack([x.min(axis=1), x.max(axis=1), z.min(axis=1), z.max(axis=1)], axis=1),
            np.array([_upright(part.corners) for part in parts]),
            _levels([part.color for part in parts]),
        )
        self._begins = np.cumsum([0, *(len(shape) for shape in shapes)])  # of each shape's parts
        self._background = _levels(background)
        self._size = (3, height, width)

    def paint(self, things: Array, many: Array, *, views: Array, wanted: Array) -> Array:
        """Return (n, 3, height, width) float32 in 0..1; areas that are not wanted hold anything.

        things: (n, most, 4) float32, in the order in which they are painted: shape, x, z, scale.
        many: (n,) integers, how many things each area has.
        views: (n, 3) float32: the point under the camera, x and z, and how far from south to north it sees.
        wanted: (n,) bool.
        """
        images = np.empty((len(things), *self._size), np.float32)
        paint(self._parts, self._begins, self._background, things, many, views, wanted, images)
        return images


def _levels(color: Color | list[Color]) -> Array:
    levels: Array = np.asarray(color, np.float32) / np.float32(255.0)
    return levels


def _padded(corners: Array) -> Array:
    """Return (CORNERS, 2), of which only the polygon's own corners are looked at."""
    return np.vstack([corners, np.repeat(corners[-1:], CORNERS - len(corners), axis=0)])


def _upright(corners: Array) -> bool:
    """Is the polygon a rectangle along the axes, as wide in every row?"""
    return bool(len(corners) == 4 and np.isclose(np.diff(corners, axis=0, append=corners[:1]), 0.0).any(axis=1).all())


def _hull(points: Array) -> Array:
    """Return the corners of the convex hull of (n, 2) points. Andrew 1979, the monotone chain."""

    def chain(ordered: list[tuple[float, float]]) -> list[tuple[float, float]]:
        kept: list[tuple[float, float]] = []
        for x, z in ordered:
            while len(kept) > 1 and _turn(kept[-2], kept[-1], (x, z)) <= 1e-9:
                kept.pop()
            kept.append((x, z))
        return kept[:-1]

    ordered = sorted((float(x), float(z)) for x, z in points)
    return np.array(chain(ordered) + chain(ordered[::-1]))


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    """Return twice the area of a triangle, positive if it turns left."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
