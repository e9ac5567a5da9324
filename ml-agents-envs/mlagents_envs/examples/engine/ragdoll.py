"""Bodies of jointed parts on level ground, simulated by MuJoCo, each on its own.

All columns are in Unity's axes: x to the right, y up, z ahead, left-handed. MuJoCo's axes mirror them: z points back.
Joints are hinges with a spring that pulls to a target angle and a damper; actions set how strong each spring may pull.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

import mujoco
import numpy as np

from mlagents_envs.examples.engine.rotations import cross
from mlagents_envs.examples.example import Array

Vector = tuple[float, float, float]

DT = 1.0 / 75.0  # s, of a physics step
GRAVITY = 1.5 * 9.81  # m/s2
FRICTION = 1.0  # between parts and the ground
FASTEST = 50.0  # rad/s of a joint and of the whole body, as in Unity's scenes
MIRROR = np.array([1.0, 1.0, -1.0])  # of places and directions
TURNED = -MIRROR  # of axes of rotation
QUATERNION = np.array([*TURNED, 1.0])  # x y z w
GROUND = 0  # its geom


@dataclass(frozen=True)
class Joint:
    """A hinge between a part and its parent."""

    axis: Vector
    low: float  # degrees
    high: float


@dataclass(frozen=True)
class BodyPart:
    """A rigid part of a body, in its pose at the beginning."""

    name: str
    parent: str | None  # None = the root
    at: Vector  # m, its middle
    shape: str  # capsule, sphere or box
    size: tuple[float, ...]  # m: radius and whole length along an axis; radius; edges
    mass: float  # kg
    along: Vector = (0.0, 0.0, 1.0)  # a capsule
    anchor: Vector | None = None  # where its joints turn; None where it has none
    joints: tuple[Joint, ...] = ()
    shift: Vector = (0.0, 0.0, 0.0)  # m, from its middle to its collider's


@dataclass(frozen=True)
class Drive:
    """The springs of all joints."""

    spring: float  # Nm/rad
    damper: float  # Nm s/rad
    most: float  # Nm that a spring pulls with at full strength
    armature: float  # kg m2 that each joint adds to what it turns, which keeps light parts calm
    pieces: int  # in which MuJoCo takes a physics step: with too few, stiff springs tear a body apart


class Ragdolls:
    """n bodies of k parts each, the first of which is the root.

    position: (n, k, 3) m, of the parts' middles; rotation: (n, k, 4) from the pose at the beginning, x y z w;
    velocity: (n, k, 3) m/s; spin: (n, k, 3) rad/s; touching: (n, k) bool, which parts touch the ground.
    """

    def __init__(self, parts: Sequence[BodyPart], drive: Drive, n: int) -> None:
        self.parts = tuple(parts)
        self._model = mujoco.MjModel.from_xml_string(describe(self.parts, drive))
        self._data = [mujoco.MjData(self._model) for _ in range(n)]
        k = len(self.parts)
        self.position, self.velocity, self.spin = (np.zeros((n, k, 3), np.float32) for _ in range(3))
        self.rotation = np.zeros((n, k, 4), np.float32)
        self.touching = np.zeros((n, k), bool)
        self._place, self._quaternion = np.zeros((n, k, 3)), np.zeros((n, k, 4))  # as MuJoCo has them
        self._motion, self._middle = np.zeros((n, k, 6)), np.zeros((n, 3))
        self._low, self._high = self._model.actuator_ctrlrange.T.copy()
        self._drive = drive
        self._owner = np.array([which for which, part in enumerate(self.parts) for _ in part.joints])  # of each joint
        self.strength = np.ones((n, k), np.float32)  # share of the most that the springs of each part may pull with

    @property
    def joints(self) -> int:
        """How many joints a body has."""
        return len(self._owner)

    def begin(self, who: Iterable[int], yaw: Array) -> None:
        """Put bodies into the pose of the beginning, at rest, turned by (len(who),) rad."""
        for i, turned in zip(who, yaw.tolist(), strict=True):
            data = self._data[i]
            mujoco.mj_resetData(self._model, data)
            data.qpos[3:7] = np.cos(turned / 2), 0.0, -np.sin(turned / 2), 0.0
            data.ctrl[:] = np.clip(0.0, self._low, self._high)
            mujoco.mj_step1(self._model, data)
            self._read(i)
        self._write_columns()

    def aim(self, targets: Array, strength: Array) -> None:
        """Set the target angles of the joints.

        targets: (n, joints) in -1..1, over the range of each; strength: (n, k) in 0..1, of each part's springs.
        """
        angles = self._low + (targets + 1.0) / 2.0 * (self._high - self._low)
        for data, wanted in zip(self._data, angles, strict=True):
            data.ctrl[:] = wanted
        self.strength[:] = strength

    def step(self, who: Iterable[int]) -> None:
        """Move these bodies by a physics step."""
        model, limit = self._model, self._drive.most * self.strength[:, self._owner].astype(np.float64)
        for i in who:
            data = self._data[i]
            model.actuator_forcerange[:, 0], model.actuator_forcerange[:, 1] = -limit[i], limit[i]
            turning = data.qvel[3:]
            for _ in range(self._drive.pieces):
                mujoco.mj_step2(model, data)  # from what is known now
                np.clip(turning, -FASTEST, FASTEST, out=turning)
                mujoco.mj_step1(model, data)  # so that all is known of the new state
            self._read(i)
        self._write_columns()

    def broken(self) -> Array:
        """Return whose numbers are not finite any more: (n,) bool."""
        return np.asarray(~np.isfinite(self.position).all(axis=(1, 2)))

    def _read(self, i: int) -> None:
        data = self._data[i]
        self._place[i], self._quaternion[i] = data.xpos[1:], data.xquat[1:]
        self._motion[i], self._middle[i] = data.cvel[1:], data.subtree_com[1]
        touched = self.touching[i]
        touched[:] = False
        if data.ncon:
            pairs = data.contact.geom
            touched[pairs[pairs[:, 0] == GROUND, 1] - 1] = True

    def _write_columns(self) -> None:
        """Turn what MuJoCo knows into Unity's axes."""
        spin, drift = self._motion[..., :3], self._motion[..., 3:]  # as if all were fixed to the body's middle of mass
        self.position[:] = self._place * MIRROR
        self.velocity[:] = (drift + cross(spin, self._place - self._middle[:, None])) * MIRROR
        self.spin[:] = spin * TURNED
        self.rotation[:] = self._quaternion[..., [1, 2, 3, 0]] * QUATERNION


def describe(parts: Sequence[BodyPart], drive: Drive) -> str:
    """Return MuJoCo's XML of a body on level ground; the root first, and every part after its parent."""
    root, step = ElementTree.Element("mujoco"), DT / drive.pieces
    add(root, "compiler", angle="radian")
    option = add(root, "option", timestep=step, gravity=(0.0, -GRAVITY, 0.0), integrator="implicitfast",
                 iterations=8, ls_iterations=8)  # fmt: skip
    add(option, "flag", autoreset="disable")  # `broken` reports bad states; MuJoCo must not reset them
    add(root, "size", memory="1M")
    add(add(root, "default"), "geom", friction=(FRICTION, 0.005, 0.0001), condim=3)
    world, contact, actuator = add(root, "worldbody"), add(root, "contact"), add(root, "actuator")
    add(world, "geom", type="plane", size=(100, 100, 1), zaxis=(0, 1, 0))
    bodies: dict[str | None, ElementTree.Element] = {None: world}
    at: dict[str | None, Vector] = {None: (0.0, 0.0, 0.0)}
    for part in parts:
        body = bodies[part.name] = add(
            bodies[part.parent], "body", name=part.name, pos=mirrored(part.at, at[part.parent])
        )
        at[part.name] = part.at
        if part.parent is None:
            add(body, "freejoint")
        else:
            add(contact, "exclude", body1=part.name, body2=part.parent)
        for which, joint in enumerate(part.joints):
            name, limits = f"{part.name}_{which}", np.radians([joint.low, joint.high])
            add(
                body, "joint", name=name, type="hinge", pos=mirrored(part.anchor or part.at, part.at),
                axis=np.array(joint.axis) * TURNED, range=limits, armature=drive.armature,
            )  # fmt: skip
            # the damper takes the spring's own change over a step along, which makes stiff springs stable
            add(
                actuator, "position", joint=name, kp=drive.spring, kv=drive.damper + step * drive.spring,
                ctrlrange=limits, forcerange=(-drive.most, drive.most),
            )  # fmt: skip
        add(body, "geom", mass=part.mass, **dict(form(part)))
    return ElementTree.tostring(root, encoding="unicode")


def form(part: BodyPart) -> Iterator[tuple[str, object]]:
    """Yield what MuJoCo calls a part's shape."""
    yield "type", part.shape
    if part.shape == "capsule":
        radius, length = part.size
        reach = np.array(part.along) * (length / 2 - radius)
        yield "size", (radius,)
        yield "fromto", (*mirrored(part.shift + reach), *mirrored(part.shift - reach))
        return
    yield "size", part.size if part.shape == "sphere" else np.array(part.size) / 2
    yield "pos", mirrored(part.shift)


def mirrored(place: Vector | Array, origin: Vector = (0.0, 0.0, 0.0)) -> Array:
    """Return a place as seen from another, in MuJoCo's axes."""
    seen: Array = (np.array(place) - np.array(origin)) * MIRROR
    return seen


def add(parent: ElementTree.Element, tag: str, **attributes: object) -> ElementTree.Element:
    """Add an element; numbers are written with spaces between them."""
    return ElementTree.SubElement(parent, tag, {name: written(value) for name, value in attributes.items()})


def written(value: object) -> str:
    """Return an attribute as XML has it."""
    return value if isinstance(value, str) else " ".join(f"{one:.9g}" for one in np.atleast_1d(np.asarray(value)))
