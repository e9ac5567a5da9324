"""Worm: four segments in a row that should crawl to a target with their head first.

Each physics step gives up to 1: how near the head's velocity is to 10 m/s towards the target, times 1 - angle / 180 as
long as the head is turned less than 30 degrees away from it. A worm that falls 2 m ends its episode. What all walking
bodies share, and what is not Unity's, is in `locomotion`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.examples.drawing import about_y
from mlagents_envs.examples.engine.ragdoll import BodyPart, Drive, Joint
from mlagents_envs.examples.engine.rotations import after, angle, between, front, inverse
from mlagents_envs.examples.example import Array, vector_sensor
from mlagents_envs.examples.locomotion import Locomotion

START = 1.15  # m, height of the segments' middles at the beginning
FALL = 2.0  # m
FACING = 30.0  # degrees within which a head's direction counts
SEGMENTS = ((0.0, 0.37, 2.0), (-1.316, 0.33, 1.5), (-2.441, 0.28, 1.48), (-3.557, 0.26, 1.46))  # z, radius, length
ANCHORS = (None, -0.8, -1.866, -2.991)  # z of each one's joints
BENDS = (Joint((1.0, 0.0, 0.0), -60.0, 60.0), Joint((0.0, 1.0, 0.0), -60.0, 60.0))


class Worm(Locomotion):
    """Actions: for each joint from the head on, how it bends up and sideways; then the strength of each.

    Sees, looking ahead: the ground below, the wanted velocity, how far it is turned away, and the target; then of each
    segment whether it touches the ground, its velocity and spin, its place and bend, and the strength of its joint.
    """

    NAME = "Worm"
    SPEC = BehaviorSpec([vector_sensor(64, "VectorSensor_size64")], ActionSpec.create_continuous(9))
    DRIVE = Drive(spring=3000.0, damper=150.0, most=3000.0, armature=0.3, pieces=3)
    SLOWEST = FASTEST = 10.0
    FALLEN = None

    @staticmethod
    def _parts() -> Sequence[BodyPart]:
        return [
            BodyPart(
                f"segment{k}", f"segment{k - 1}" if k else None, (0.0, START, z), "capsule", (radius, length), 10.0,
                anchor=None if anchor is None else (0.0, START, anchor), joints=BENDS if k else (),
            )
            for k, ((z, radius, length), anchor) in enumerate(zip(SEGMENTS, ANCHORS, strict=True))
        ]  # fmt: skip

    def _act(self, action: Array) -> None:
        strength = np.concatenate([np.zeros((self.n, 1)), (action[:, 6:] + 1.0) / 2.0], axis=1)
        self.ragdolls.aim(action[:, :6], strength)

    def _earn(self) -> Array:
        away = self._away()
        earned: Array = self._match(self.ragdolls.velocity[:, 0]) * np.where(away < FACING, 1.0 - away / 180.0, 0.0)
        return earned

    def _fallen(self) -> Array:
        fallen: Array = self.ragdolls.position[:, 0, 1] < START - FALL
        return fallen

    def _away(self) -> Array:
        """Return (n,) degrees by which heads are turned away from who looks ahead."""
        ahead = self._ahead()
        return angle(self.ragdolls.rotation[:, 0], about_y(np.arctan2(ahead[:, 0], ahead[:, 2])))

    def _observe(self) -> list[Array]:
        dolls = self.ragdolls
        height = dolls.position[:, 0, 1] / 10.0
        columns = [
            height.clip(0.0, 1.0)[:, None],
            np.tile(np.array([0.0, 0.0, self.FASTEST], np.float32), (self.n, 1)),
            self._away()[:, None] / 180.0,
            between(front(dolls.rotation[:, 0]), self._ahead()),
            self._as_seen(self.target - dolls.position[:, 0]),
        ]
        velocity, spin = self._as_seen(dolls.velocity), self._as_seen(dolls.spin)
        place = self._as_seen(dolls.position - dolls.position[:, :1])
        bend = after(inverse(dolls.rotation[:, :-1]), dolls.rotation[:, 1:])
        for k in range(len(SEGMENTS)):
            columns += [dolls.touching[:, k, None], velocity[:, k], spin[:, k]]
            if k:
                columns += [place[:, k], bend[:, k - 1], dolls.strength[:, k, None]]
        return [np.concatenate(columns, axis=1, dtype=np.float32)]
