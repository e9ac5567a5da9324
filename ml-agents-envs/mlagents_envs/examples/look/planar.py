"""What bodies on level ground look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mlagents_envs.examples.drawing import BLUE, Array, Color, Drawing, about_y, faces, shapes

LOW_WALL = 1.0  # m to which walls are cut down, so that one sees over them
FLAT = 0.04  # m, height of a goal on the ground, so that one sees what is in it


def planar(bodies: Array, colors: Mapping[int, Color], ground: Array, *, agents: Sequence[int] = (0,)) -> Drawing:
    """Return what (k,) BODY look like: round ones as spheres; agents, which bodies are, get faces.

    colors: by tag; bodies with other tags are blue. ground: (k,) SHAPE, what lies under it all.
    """
    position = np.stack([bodies["x"], (bodies["low"] + bodies["high"]) / 2, bodies["z"]], axis=1)
    height = np.where(bodies["round"], 2 * bodies["half_x"], bodies["high"] - bodies["low"])
    size = np.stack([2 * bodies["half_x"], height, 2 * bodies["half_z"]], axis=1)
    color = np.array([colors.get(tag, BLUE) for tag in bodies["tag"].tolist()])
    drawn = shapes(position, size=size, color=color, quaternion=about_y(bodies["yaw"]))
    there, round = bodies["on"] & (height > 0), bodies["round"]
    who = np.asarray(agents)
    visors = faces(position[who], bodies["yaw"][who], width=size[who, 0])
    return Drawing(
        np.concatenate([ground, drawn[there & ~round], visors]), drawn[there & round], position[who].astype(np.float32)
    )


def cut(bodies: Array, *tags: int, to: float = LOW_WALL) -> Array:
    """Return a copy in which bodies with these tags stand on the ground and end at this height."""
    bodies = bodies.copy()
    low = np.isin(bodies["tag"], tags)
    bodies["low"][low], bodies["high"][low] = 0.0, to
    return bodies
