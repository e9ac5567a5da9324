"""Crawler: a ball on four jointed legs that should run to a target.

Each physics step gives up to 1: how near the mean velocity of all parts is to the wanted one, times how well the body
looks at the target. When the body or an upper leg touches the ground, the decision gives -1 and the episode ends. What
all walking bodies share, and what is not Unity's, is in `locomotion`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.examples.engine.ragdoll import BodyPart, Drive, Joint, Vector
from mlagents_envs.examples.engine.rotations import after, between, front, inverse, turn
from mlagents_envs.examples.example import Array, vector_sensor
from mlagents_envs.examples.locomotion import Locomotion

START = 2.156  # m, height of the body at the beginning
LEGS = ((1.0, -1.0), (-1.0, -1.0), (-1.0, 1.0), (1.0, 1.0))  # x, z: where each points
UPPER, LOWER = (0.15, 0.95), (0.15, 1.5)  # radius and length
UPPER_AT, LOWER_AT, DROP = 0.9, 1.98, 0.15  # m of a leg's middles from the body, and below it
UPPERS, LOWERS = (1, 3, 5, 7), (2, 4, 6, 8)  # which parts


class Crawler(Locomotion):
    """Actions: two angles of each upper leg, one of each lower leg; strengths of the upper, then of the lower legs.

    Sees each part as its body does: place, rotation, bend at its joint, velocity. Then, looking ahead: how far it is
    off what is wanted, its mean velocity, the wanted one, how far it is turned away, the target, the ground below; and
    of each part whether it touches the ground, and of legs their strength.
    """

    NAME = "Crawler"
    SPEC = BehaviorSpec(
        [vector_sensor(126, "PhysicsBody:Body"), vector_sensor(32, "VectorSensor_size32")],
        ActionSpec.create_continuous(20),
    )
    DRIVE = Drive(spring=2400.0, damper=300.0, most=1200.0, armature=0.3, pieces=2)
    SLOWEST, FASTEST = 0.1, 15.0
    FALLEN = -1.0

    @staticmethod
    def _parts() -> Sequence[BodyPart]:
        parts = [BodyPart("body", None, (0.0, START, 0.0), "sphere", (0.5,), 20.0)]
        for k, (x, z) in enumerate(LEGS):
            out = np.array([x, 0.0, z]) / np.hypot(x, z)
            across: Vector = (float(out[2]), 0.0, float(-out[0]))  # about which a leg goes down
            upper, lower = UPPER_AT * out + (0, START - DROP, 0), LOWER_AT * out + (0, START - DROP, 0)
            parts += [
                BodyPart(
                    f"leg{k}", "body", tuple(upper), "capsule", UPPER, 2.0, along=tuple(out),
                    anchor=tuple(upper - 0.5 * out),
                    joints=(Joint(across, -60.0, 0.0), Joint((0.0, 1.0, 0.0), -20.0, 20.0)),
                ),
                BodyPart(
                    f"foreleg{k}", f"leg{k}", tuple(lower), "capsule", LOWER, 1.0, along=tuple(out),
                    anchor=tuple(lower - 0.75 * out), joints=(Joint(across, 0.0, 150.0),),
                ),
            ]  # fmt: skip
        return parts

    def _act(self, action: Array) -> None:
        targets = np.empty((self.n, 12))
        targets[:, 0::3], targets[:, 1::3], targets[:, 2::3] = action[:, 0:8:2], action[:, 1:8:2], action[:, 8:12]
        strength = np.zeros((self.n, 9))
        strength[:, UPPERS], strength[:, LOWERS] = (action[:, 12:16] + 1.0) / 2.0, (action[:, 16:] + 1.0) / 2.0
        self.ragdolls.aim(targets, strength)

    def _earn(self) -> Array:
        looks = (self._ahead() * front(self.ragdolls.rotation[:, 0])).sum(axis=1)
        earned: Array = self._match(self.ragdolls.velocity.mean(axis=1)) * (looks + 1.0) / 2.0
        return earned

    def _fallen(self) -> Array:
        return np.asarray(self.ragdolls.touching[:, (0, *UPPERS)].any(axis=1))

    def _observe(self) -> list[Array]:
        dolls = self.ragdolls
        mean, goal = dolls.velocity.mean(axis=1), self._goal()
        columns = [
            np.linalg.norm(goal - mean, axis=1)[:, None],
            self._as_seen(mean),
            self._as_seen(goal),
            between(front(dolls.rotation[:, 0]), self._ahead()),
            self._as_seen(self.target - dolls.position[:, 0]),
            (dolls.position[:, 0, 1] / 10.0).clip(0.0, 1.0)[:, None],
            dolls.touching[:, :1],
        ]
        for k in (k for legs in zip(UPPERS, LOWERS, strict=True) for k in legs):
            columns += [dolls.touching[:, k, None], dolls.strength[:, k, None]]
        return [self._feel(), np.concatenate(columns, axis=1, dtype=np.float32)]

    def _feel(self) -> Array:
        """Return (n, 126): place, rotation, bend and velocity of all parts in the body's own frame."""
        dolls = self.ragdolls
        back = inverse(dolls.rotation[:, :1])
        place = turn(back, dolls.position - dolls.position[:, :1])
        rotation = after(back, dolls.rotation)
        bend = np.zeros_like(rotation)
        bend[:, 0, 3] = 1.0
        bend[:, UPPERS] = rotation[:, UPPERS]
        bend[:, LOWERS] = after(inverse(dolls.rotation[:, UPPERS]), dolls.rotation[:, LOWERS])
        velocity = turn(back, dolls.velocity - dolls.velocity[:, :1])
        return np.concatenate([place, rotation, bend, velocity], axis=2, dtype=np.float32).reshape(self.n, -1)
