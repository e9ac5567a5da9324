"""Walker: a humanoid of sixteen parts that should walk to a target.

Each physics step gives up to 1: how near the mean velocity of all parts is to the wanted one, times how well the head
looks at the target. When anything but feet and shins touches the ground, the decision gives -1 and the episode ends.
What all walking bodies share, and what is not Unity's, is in `locomotion`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.examples.engine.ragdoll import BodyPart, Drive, Joint, Vector
from mlagents_envs.examples.engine.rotations import after, between, front, inverse
from mlagents_envs.examples.example import Array, vector_sensor
from mlagents_envs.examples.locomotion import Locomotion

START = 0.953  # m, height of the hips at the beginning
X, Y, Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
BACK, CLOCKWISE, DOWN = (-1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, -1.0, 0.0)
TRUNK = (Joint(X, -20.0, 20.0), Joint(CLOCKWISE, -20.0, 20.0), Joint(Y, -15.0, 15.0))
ORDER = (
    "hips", "chest", "spine", "head", "thighL", "shinL", "footL", "thighR", "shinR", "footR",
    "armL", "forearmL", "handL", "armR", "forearmR", "handR",
)  # fmt: skip
"""Of what is seen."""
DRIVEN = (
    "chest", "spine", "thighL", "thighR", "shinL", "shinR", "footR", "footL", "armL", "armR", "forearmL", "forearmR",
    "head",
)  # fmt: skip
"""Of the angles in an action."""
STRONG = (
    "chest", "spine", "head", "thighL", "shinL", "footL", "thighR", "shinR", "footR", "armL", "forearmL", "armR",
    "forearmR",
)  # fmt: skip
"""Of the strengths in an action."""
GROUNDED = ("shinL", "footL", "shinR", "footR")  # may touch the ground


def limbs(side: str, sign: float) -> list[BodyPart]:
    """Return the leg and the arm of a side; sign: of x there."""

    def part(name: str, parent: str, x: float, y: float, shape: str, size: tuple[float, ...], mass: float,
             joint: Vector | None = None, joints: tuple[Joint, ...] = (), along: Vector = Y,
             shift: Vector = (0.0, 0.0, 0.0)) -> BodyPart:  # fmt: skip
        anchor = None if joint is None else (sign * (x + joint[0]), START + y + joint[1], joint[2])
        at = (sign * x, START + y, 0.0)
        return BodyPart(name + side, parent, at, shape, size, mass, along, anchor, joints, shift)

    swing = DOWN if sign < 0 else Y
    return [
        part("thigh", "hips", 0.132, -0.264, "capsule", (0.09, 0.3), 14.0, (0.0, 0.16, 0.0),
             (Joint(BACK, -90.0, 60.0), Joint(CLOCKWISE, -40.0, 40.0))),
        part("shin", "thigh" + side, 0.132, -0.594, "capsule", (0.06, 0.32), 7.0, (0.0, 0.17, 0.0),
             (Joint(BACK, 0.0, 120.0),)),
        part("foot", "shin" + side, 0.132, -0.792, "box", (0.1278, 0.043, 0.23), 5.0, (0.0, 0.03, 0.0),
             (Joint(X, -20.0, 20.0), Joint(Y, -20.0, 20.0), Joint(Z, -20.0, 20.0)), shift=(0.0, 0.0, 0.033)),
        part("arm", "chest", 0.413, 0.491, "capsule", (0.08, 0.33), 4.0, (-0.18, 0.0, 0.0),
             (Joint(swing, -60.0, 120.0), Joint(Z, -100.0, 100.0)), along=X),
        part("forearm", "arm" + side, 0.743, 0.491, "capsule", (0.08, 0.3), 3.0, (-0.16, 0.0, 0.0),
             (Joint(swing, 0.0, 160.0),), along=X),
        part("hand", "forearm" + side, 0.974, 0.491, "sphere", (0.08,), 2.0),
    ]  # fmt: skip


class Walker(Locomotion):
    """Actions: the angles of thirteen joints, then the strengths of all.

    Sees, looking ahead: how far it is off what is wanted, its mean velocity, the wanted one, how far hips and head are
    turned away, the target; then of each part whether it touches the ground, its velocity, spin and place, and of those
    with joints their bend and strength.
    """

    NAME = "Walker"
    SPEC = BehaviorSpec([vector_sensor(243, "VectorSensor_size243")], ActionSpec.create_continuous(39))
    DRIVE = Drive(spring=2400.0, damper=300.0, most=1200.0, armature=0.4, pieces=2)
    SLOWEST, FASTEST = 0.1, 10.0
    FALLEN = -1.0

    def __init__(self, *, areas: int | None = None, seed: int = 0, renew_ids: bool = False) -> None:
        super().__init__(areas=areas, seed=seed, renew_ids=renew_ids)
        which = self.part_index
        owner = [part.name for part in self.ragdolls.parts for _ in part.joints]
        given = [name for name in DRIVEN for _ in self.ragdolls.parts[which[name]].joints]  # whose angle each action is
        self._place_of_joint = np.argsort(np.argsort([owner.index(name) for name in given], kind="stable"))
        self._strong = [which[name] for name in STRONG]
        self._seen = [which[name] for name in ORDER]
        self._bent = [which[name] for name in ORDER if name in STRONG]
        self._parent = [which.get(part.parent or "", 0) for part in self.ragdolls.parts]
        self._head = which["head"]
        self._off_the_ground = [k for name, k in which.items() if name not in GROUNDED]

    @staticmethod
    def _parts() -> Sequence[BodyPart]:
        return [
            BodyPart("hips", None, (0.0, START, 0.0), "capsule", (0.1, 0.42), 15.0, X),
            BodyPart("spine", "hips", (0.0, START + 0.225, 0.0), "capsule", (0.08, 0.36), 10.0, X,
                 (0.0, START + 0.125, 0.0), TRUNK),
            BodyPart("chest", "spine", (0.0, START + 0.491, 0.0), "capsule", (0.13, 0.45), 8.0, X,
                 (0.0, START + 0.331, 0.0), TRUNK),
            BodyPart("head", "chest", (0.0, START + 0.94, 0.0), "sphere", (0.22,), 6.0, Z, (0.0, START + 0.66, 0.0),
                 (Joint(X, -30.0, 10.0), Joint(CLOCKWISE, -20.0, 20.0))),
            *limbs("L", -1.0),
            *limbs("R", 1.0),
        ]  # fmt: skip

    def _act(self, action: Array) -> None:
        joints = self.ragdolls.joints
        targets = np.empty((self.n, joints))
        targets[:, self._place_of_joint] = action[:, :joints]
        strength = np.zeros((self.n, len(self.ragdolls.parts)))
        strength[:, self._strong] = (action[:, joints:] + 1.0) / 2.0
        self.ragdolls.aim(targets, strength)

    def _earn(self) -> Array:
        head = front(self.ragdolls.rotation[:, self._head])
        looks = (self._ahead() * head).sum(axis=1)  # ahead is level, so only what is level of the head's counts
        earned: Array = self._match(self.ragdolls.velocity.mean(axis=1)) * (looks + 1.0) / 2.0
        return earned

    def _fallen(self) -> Array:
        return np.asarray(self.ragdolls.touching[:, self._off_the_ground].any(axis=1))

    def _observe(self) -> list[Array]:
        dolls = self.ragdolls
        mean, goal, ahead = dolls.velocity.mean(axis=1), self._goal(), self._ahead()
        columns = [
            np.linalg.norm(goal - mean, axis=1)[:, None],
            self._as_seen(mean),
            self._as_seen(goal),
            between(front(dolls.rotation[:, 0]), ahead),
            between(front(dolls.rotation[:, self._head]), ahead),
            self._as_seen(self.target - dolls.position[:, 0]),
        ]
        velocity, spin = self._as_seen(dolls.velocity), self._as_seen(dolls.spin)
        place = self._as_seen(dolls.position - dolls.position[:, :1])
        bend = after(inverse(dolls.rotation[:, self._parent]), dolls.rotation)
        for k in self._seen:
            columns += [dolls.touching[:, k, None], velocity[:, k], spin[:, k], place[:, k]]
            if k in self._bent:
                columns += [bend[:, k], dolls.strength[:, k, None]]
        return [np.concatenate(columns, axis=1, dtype=np.float32)]
