"""Areas full of planar bodies: boxes and discs that slide and turn on level ground, each between two heights.

Unity's example scenes are planar but for a few jumps and falls, so positions have x and z only (y is up, as in
Unity), yaw is about y, and yaw 0 looks along z. A body's extent in height is for rays, and for what falls to its floor
at the beginning of an episode. The physics is in `planar_numba`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mlagents_envs.examples.example import Array

GRAVITY = 9.81  # m/s2, which most scenes multiply
DEFAULT_FRICTION = 0.6  # of Unity's default material
UNTAGGED = -1

BODY = np.dtype(
    [
        ("x", "f4"), ("z", "f4"), ("yaw", "f4"),  # of its middle, in m and rad
        ("vx", "f4"), ("vz", "f4"), ("spin", "f4"),  # per s
        ("half_x", "f4"), ("half_z", "f4"),  # of a box before it turns; a disc's radius is half_x
        ("low", "f4"), ("high", "f4"),  # heights between which it is
        ("floor", "f4"), ("climb", "f4"),  # where low comes to rest, and its vertical velocity until then
        ("inverse_mass", "f4"), ("inverse_inertia", "f4"),  # 0 = cannot be pushed, cannot be turned
        ("drag", "f4"),  # share of the velocity that is lost per s
        ("friction", "f4"), ("stiction", "f4"),  # coefficients with the ground: sliding, and before it slides
        ("spare", "f4"),  # m/s that the ground could still take from it in this step
        ("bounce", "f4"),  # share of the speed with which it leaves what it hits
        ("tag", "i4"),  # what rays see, UNTAGGED = something without a name
        ("round", "?"),  # a disc, not a box
        ("on", "?"),  # it is there
        ("solid", "?"),  # it stops others; else it is only touched
        ("pinned", "?"),  # its place is held, though not by what it hits: see `planar_numba.hold`
    ],
    align=True,
)  # fmt: skip

CONTACT = np.dtype(
    [
        ("a", "i4"), ("b", "i4"),  # which bodies
        ("nx", "f4"), ("nz", "f4"),  # from b to a
        ("x", "f4"), ("z", "f4"),  # where they touch
        ("gap", "f4"),  # between them, negative where they overlap
        ("press", "f4"), ("grip", "f4"),  # impulses so far, along and across the normal
        ("leave", "f4"),  # speed with which they must part
    ],
    align=True,
)  # fmt: skip
CONTACTS = 64  # of one area that are solved at once; further ones wait for the next step


def body(
    x: float = 0.0, z: float = 0.0, *, yaw: float = 0.0, half: tuple[float, float] = (0.5, 0.5),
    heights: tuple[float, float] = (0.0, 1.0), round: bool = False, tag: int = UNTAGGED, mass: float = 0.0,
    turns: bool = False, drag: float = 0.0, friction: float = 0.0, bounce: float = 0.0, solid: bool = True,
    pinned: bool = False,
) -> Array:  # fmt: skip
    """Return a BODY at rest on its floor; half: half edges, (radius, radius) if round; mass 0 = never moves."""
    one = np.zeros((), BODY)
    one["x"], one["z"], one["yaw"] = x, z, yaw
    one["half_x"], one["half_z"] = half
    one["low"], one["high"] = heights
    one["floor"] = heights[0]
    one["drag"], one["friction"], one["stiction"], one["bounce"] = drag, friction, friction, bounce
    one["tag"], one["round"], one["solid"], one["pinned"], one["on"] = tag, round, solid, pinned, True
    if mass:
        one["inverse_mass"] = 1.0 / mass
    if mass and turns:
        squares = half[0] ** 2 + half[1] ** 2
        one["inverse_inertia"] = 2.0 / (mass * half[0] ** 2) if round else 3.0 / (mass * squares)
    return one


class PlanarState(NamedTuple):
    """The bodies of all areas and the buffers that kernels need; kernels take the tuple as it is."""

    bodies: Array  # (areas, bodies) BODY, first those that meet all others
    touched: Array  # (moving, bodies) bool: in the area that moved last, what each of these first ones touched
    contacts: Array  # room for CONTACT of one area
    rng: Array  # (areas,) uint64, each area's own random numbers
    clock: Array  # (areas,) int32, physics steps of this episode

    @staticmethod
    def of(areas: int, bodies: Sequence[Array], *, moving: int) -> PlanarState:
        """Return a state whose areas all have these bodies, of which the first `moving` meet all others.

        Others stand still, or if they have mass move when they are struck by these, through all else.
        """
        return PlanarState(
            np.tile(np.stack(list(bodies)), (areas, 1)),
            np.zeros((moving, len(bodies)), bool),
            np.zeros(CONTACTS, CONTACT),
            np.ones(areas, np.uint64),
            np.zeros(areas, np.int32),
        )

    def seed(self, seed: int) -> None:
        """Seed every area's random numbers; they do not depend on the number of areas."""
        self.rng[:] = np.random.default_rng(seed).integers(1, 2**63, len(self.rng), dtype=np.uint64)
