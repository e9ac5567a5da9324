"""A camera with perspective in a scene: what an agent sees of boxes, spheres and rectangles, as a picture.

Its field of view is 60 degrees, and what is nearer than 0.3 m is not seen: Unity's defaults, which its example scenes
keep. Pictures have whole levels from 0 to 255, as a PNG has, and no smoothed edges. The work is in `camera_numba`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mlagents_envs.base_env import DimensionProperty, ObservationSpec, ObservationType
from mlagents_envs.examples.example import Array

CORNERS = 5  # at most, of a rectangle that is cut by the plane before the camera


@dataclass(frozen=True)
class CameraSensor:
    """A camera of height x width pixels in color, which sees its last frames at once, the newest last."""

    height: int = 84
    width: int = 84
    frames: int = 1

    @property
    def name(self) -> str:
        """The sensor's name, as Unity has it."""
        return "CameraSensor" if self.frames == 1 else f"StackingSensor_size{self.frames}_CameraSensor"

    @property
    def spec(self) -> ObservationSpec:
        """The sensor as the low-level API has it."""
        moves = DimensionProperty.TRANSLATIONAL_EQUIVARIANCE
        shape = (3 * self.frames, self.height, self.width)
        return ObservationSpec(shape, (DimensionProperty.NONE, moves, moves), ObservationType.DEFAULT, self.name)


class Canvas(NamedTuple):
    """What is painted on, for one picture after another; kernels take it as it is."""

    image: Array  # (3, height, width) uint8
    closeness: Array  # (height, width) float32: 1 / depth in m of what each pixel shows, 0 = the background
    outline: Array  # (CORNERS, 2) float32, scratch: column and row of a rectangle's corners


def canvas(sensor: CameraSensor) -> Canvas:
    """Return a canvas for a sensor's frames."""
    return Canvas(
        np.zeros((3, sensor.height, sensor.width), np.uint8),
        np.zeros((sensor.height, sensor.width), np.float32),
        np.zeros((CORNERS, 2), np.float32),
    )
