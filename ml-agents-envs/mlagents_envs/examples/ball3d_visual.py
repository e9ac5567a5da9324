"""Visual3DBall: 3DBall, of which an agent sees nothing but the pictures of a camera.

The camera stands 7 m above the platform's middle and 8 m in front of it, and looks down by 30 degrees, as in Unity's
scene: its place, its field of view, the black background and the direction of the light are Unity's, and so is the
platform's face. The ball's color and how strong the light is are chosen, and there are no shadows.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mlagents_envs.base_env import ActionSpec, ActionTuple, BehaviorSpec
from mlagents_envs.examples.ball3d import Ball3D
from mlagents_envs.examples.ball3d_visual_numba import look
from mlagents_envs.examples.example import Array
from mlagents_envs.examples.sensors.camera import CameraSensor, canvas

CAMERA = CameraSensor(frames=4)


class Visual3DBall(Ball3D):
    """Sees the last four pictures, red, green and blue of each, newest last; before an episode all is black."""

    NAME = "Visual3DBall"
    AREAS = 8
    SPEC = BehaviorSpec([CAMERA.spec], ActionSpec.create_continuous(2))

    def __init__(self, *, areas: int | None = None, seed: int = 0, renew_ids: bool = False) -> None:
        super().__init__(areas=areas, seed=seed, renew_ids=renew_ids)
        self._canvas = canvas(CAMERA)
        self._past = np.zeros((self.n, CAMERA.frames - 1, *self._canvas.image.shape), np.uint8)  # earlier pictures
        self._last_radius = self.radius.copy()  # of the ball before the last decision

    @property
    def image_stacks(self) -> Mapping[str, int]:
        """The camera's frames."""
        return {CAMERA.name: CAMERA.frames}

    def _begin(self) -> list[Array]:
        self._past[:] = 0
        return super()._begin()

    def _decide(self, action: ActionTuple) -> tuple[list[Array], Array, Array, Array, list[Array]]:
        self._last_radius[:] = self.radius
        return super()._decide(action)

    def _see(self, now: Array, fresh: Array | None) -> list[Array]:
        if fresh is not None:
            self._past[fresh] = 0
        return self._pictures(self.state, self.radius, np.ones(self.n, bool))

    def _see_last(self, last: Array, done: Array) -> list[Array]:
        return self._pictures(self._end_state, self._last_radius, done)

    def _pictures(self, state: Array, radius: Array, wanted: Array) -> list[Array]:
        """Return what the wanted agents see, and let them remember it; observations of others hold anything."""
        seen = np.empty((self.n, *CAMERA.spec.shape), np.float32)
        look(state, radius, wanted, self._canvas, self._past, seen)
        return [seen]
