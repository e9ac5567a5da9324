"""What walking bodies look like: each in the middle of its piece of ground, which passes below it."""

from __future__ import annotations

import numpy as np

from mlagents_envs.examples.drawing import DARK, GREEN, NONE, Array, Color, Drawing, about_y, floor, shapes
from mlagents_envs.examples.engine.ragdoll import BodyPart
from mlagents_envs.examples.engine.rotations import after, between, turn
from mlagents_envs.examples.locomotion import LEVEL, Locomotion

STRIPES = 5.2  # m between them: more than what is taken for a move from one decision to the next
STRIPE: Color = (0.70, 0.72, 0.70)
POINTER = 0.3  # of the ground's width from a body, where it is shown which way its target is
THICK = 1.1  # how much wider a muscle is drawn than the capsule that it is
ALONG_Z = np.array([[0.0, 0.0, 1.0]], np.float32)


def locomotion(env: Locomotion, area: int, width: float, color: Color, head: str, eyes: Array) -> Drawing:
    """Return a body, the ground around it, its target if that is near, and which way it is.

    width: m, of the ground; head: the part with the eyes; eyes: (k, 2, 3) m, place in this part and edges of each.
    """
    dolls = env.ragdolls
    here = dolls.position[area, 0] * LEVEL
    position, rotation = dolls.position[area] - here, dolls.rotation[area]
    parts = [muscle(*one, color) for one in zip(dolls.parts, position, rotation, strict=True)]
    boxed = [part.shape == "box" for part in dolls.parts]
    which = env.part_index[head]
    seeing = shapes(
        position[which] + turn(rotation[which], eyes[:, 0]), size=eyes[:, 1], color=DARK, quaternion=rotation[which]
    )
    boxes = [part for part, box in zip(parts, boxed, strict=True) if box]
    round = [part for part, box in zip(parts, boxed, strict=True) if not box]
    around = [floor(width, width), stripes(here, width), target(env.target[area] - here, width)]
    return Drawing(
        np.concatenate([*around, seeing, *boxes]),
        np.concatenate(round),
        position[:1].astype(np.float32),
    )


def muscle(part: BodyPart, position: Array, rotation: Array, color: Color) -> Array:
    """Return a part; a capsule bulges."""
    if part.shape == "capsule":
        radius, length = part.size
        turned = after(rotation, between(ALONG_Z, np.array([part.along], np.float32))[0])
        wide = 2 * THICK * radius
        return shapes(position, size=(wide, wide, length), color=color, quaternion=turned)
    size = part.size if part.shape == "box" else 2 * part.size[0]
    shift = turn(rotation, np.array(part.shift, np.float32))
    return shapes(position + shift, size=np.broadcast_to(size, 3), color=color, quaternion=rotation)


def stripes(here: Array, width: float) -> Array:
    """Return the stripes on the ground around a place, as seen from there."""
    drawn = [NONE]
    for axis in (0, 2):  # at some x, at some z
        for at in (np.floor(here[axis] / STRIPES) + np.arange(2)) * STRIPES - here[axis]:
            if abs(at) < width / 2:
                position, size = np.zeros(3), np.array([width, 0.01, width])
                position[axis], size[axis] = at, 0.1
                drawn.append(shapes(position, size=size, color=STRIPE))
    return np.concatenate(drawn)


def target(way: Array, width: float) -> Array:
    """Return the target, unless it is beyond the ground, and a pointer to it; way: to it from here."""
    yaw = about_y(np.arctan2(way[0], way[2]))
    ahead = POINTER * width * way * LEVEL / max(float(np.linalg.norm(way * LEVEL)), 1e-6)
    ahead[1] = 0.02
    pointer = shapes(ahead, size=(0.25, 0.04, 0.9), color=GREEN, quaternion=yaw)
    if np.abs(way[[0, 2]]).max() > width / 2:
        return pointer
    return np.concatenate([shapes(way, size=(1.0, 1.0, 1.0), color=GREEN), pointer])
