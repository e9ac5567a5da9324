"""What a scene looks like, as numbers: boxes and spheres, for the page in a browser and for pictures.

Axes are Unity's: x to the right, y up, z away, in m. An area's middle is its origin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]
Color = tuple[float, float, float]  # red, green, blue, 0..1

SHAPE = np.dtype(
    [
        ("position", "f4", 3),  # of its middle
        ("quaternion", "f4", 4),  # x, y, z, w
        ("size", "f4", 3),  # edges of a box, diameters of a sphere
        ("color", "f4", 3),
    ]
)
NONE = np.empty(0, SHAPE)
LEVEL = (0.0, 0.0, 0.0, 1.0)  # quaternion of what is not turned
JUMP = 5.0  # m in one decision, beyond which something has not moved but was put elsewhere

FLOOR: Color = (0.80, 0.80, 0.77)
WALL: Color = (0.52, 0.56, 0.62)
BLUE: Color = (0.16, 0.47, 0.90)
RED: Color = (0.86, 0.26, 0.22)
GREEN: Color = (0.25, 0.68, 0.35)
ORANGE: Color = (0.96, 0.58, 0.16)
YELLOW: Color = (0.97, 0.80, 0.22)
PURPLE: Color = (0.56, 0.34, 0.78)
CYAN: Color = (0.18, 0.70, 0.74)
GRASS: Color = (0.55, 0.70, 0.50)
STONE: Color = (0.62, 0.58, 0.53)
BRICK: Color = (0.74, 0.42, 0.30)
WHITE: Color = (0.96, 0.96, 0.95)
DARK: Color = (0.12, 0.13, 0.16)

VISOR = np.array([0.7, 0.22, 0.14])  # its edges, of an agent 1 m wide


@dataclass(frozen=True)
class Drawing:
    """One area, or several beside each other."""

    boxes: Array = field(default_factory=NONE.copy)  # (k,) SHAPE
    spheres: Array = field(default_factory=NONE.copy)  # (k,) SHAPE
    agents: Array = field(default_factory=lambda: np.empty((0, 3), np.float32))  # where each is, as their rows follow

    def moved(self, x: float, z: float) -> Drawing:
        """Return the same elsewhere."""
        by = np.array([x, 0.0, z], np.float32)
        boxes, spheres = self.boxes.copy(), self.spheres.copy()
        boxes["position"] += by
        spheres["position"] += by
        return Drawing(boxes, spheres, self.agents + by)

    @staticmethod
    def together(drawings: Sequence[Drawing]) -> Drawing:
        """Return one drawing of all; there must be at least one."""
        return Drawing(
            np.concatenate([it.boxes for it in drawings]),
            np.concatenate([it.spheres for it in drawings]),
            np.concatenate([it.agents for it in drawings]),
        )


def between(before: Drawing, after: Drawing, share: float) -> Drawing:
    """Return what is seen after a share of a decision; what was put elsewhere is there at once."""
    if len(before.boxes) != len(after.boxes) or len(before.spheres) != len(after.spheres):
        return after
    return Drawing(
        _between(before.boxes, after.boxes, share), _between(before.spheres, after.spheres, share), after.agents
    )


def _between(before: Array, after: Array, share: float) -> Array:
    mixed: Array = after.copy()
    moves = np.linalg.norm(after["position"] - before["position"], axis=1) < JUMP
    mixed["position"][moves] = ((1 - share) * before["position"] + share * after["position"])[moves]
    same = np.where((before["quaternion"] * after["quaternion"]).sum(1, keepdims=True) < 0, -1, 1)
    turned = (1 - share) * same * before["quaternion"] + share * after["quaternion"]
    turned /= np.linalg.norm(turned, axis=1, keepdims=True)
    mixed["quaternion"][moves] = turned[moves]
    return mixed


def shapes(position: ArrayLike, *, size: ArrayLike, color: ArrayLike, quaternion: ArrayLike = LEVEL) -> Array:
    """Return (k,) SHAPE. Each argument is one row for all shapes, or a row per shape."""
    columns = [np.atleast_2d(np.asarray(column, np.float32)) for column in (position, quaternion, size, color)]
    drawn = np.empty(max(len(column) for column in columns), SHAPE)
    for name, column in zip(("position", "quaternion", "size", "color"), columns, strict=True):
        drawn[name] = column
    return drawn


def about_y(yaw: ArrayLike) -> Array:
    """Return (k, 4) quaternions of what is turned by (k,) rad, clockwise as seen from above."""
    half = np.atleast_1d(np.asarray(yaw, np.float32)) / 2
    nothing = np.zeros_like(half)
    return np.stack([nothing, np.sin(half), nothing, np.cos(half)], axis=1)


def faces(position: Array, yaw: Array, *, width: ArrayLike = 1.0) -> Array:
    """Return the dark visors of agents, by which one sees where they look; position: (k, 3), width: of agents."""
    position, yaw = np.atleast_2d(position), np.atleast_1d(yaw)
    width = np.broadcast_to(np.asarray(width, np.float32), len(yaw))[:, None]
    ahead = np.stack([np.sin(yaw), np.full_like(yaw, 0.3), np.cos(yaw)], axis=1) * width / 2
    return shapes(position + ahead, size=width * VISOR, color=DARK, quaternion=about_y(yaw))


def floor(width: float, depth: float, *, top: float = 0.0, color: Color = FLOOR) -> Array:
    """Return the floor of an area."""
    return shapes((0.0, top - 0.1, 0.0), size=(width, 0.2, depth), color=color)
