"""VisualFoodCollector: FoodCollector, seen by each agent with a camera of its own instead of a grid.

The camera looks ahead from inside the agent, 0.15 m before its middle and as high, as in Unity's scene: its place, its
field of view, the background and how long and wide a laser is are Unity's. Colors of food, floor and walls are chosen,
and an agent does not change its own color when it has eaten. Frozen agents have the color of walls, as in Unity.
"""

from __future__ import annotations

import numpy as np

from mlagents_envs.base_env import BehaviorSpec
from mlagents_envs.examples.example import Array, vector_sensor
from mlagents_envs.examples.foodcollector import FoodField
from mlagents_envs.examples.foodcollector_visual_numba import look
from mlagents_envs.examples.sensors.camera import CameraSensor, canvas

CAMERA = CameraSensor()


class VisualFoodCollector(FoodField):
    """Sees a picture, red, green and blue, and whether it is frozen: 1, else 0."""

    NAME = "VisualFoodCollector"
    AREAS = 2
    SPEC = BehaviorSpec([CAMERA.spec, vector_sensor(1, "VectorSensor_size1")], FoodField.ACTIONS)

    def __init__(self, *, areas: int | None = None, seed: int = 0, renew_ids: bool = False) -> None:
        super().__init__(areas=areas, seed=seed, renew_ids=renew_ids)
        self._canvas = canvas(CAMERA)

    def _see(self) -> list[Array]:
        seen, frozen = np.empty((self.n, *CAMERA.spec.shape), np.float32), np.empty((self.n, 1), np.float32)
        look(self.state, self.shooting, self.laser_length, self._canvas, seen, frozen)
        return [seen, frozen]
