"""Unity's grid sensor: a field of cells around an agent that turns with it, each a one-hot of what is in it.

Of several things in a cell the one counts that comes nearest to the middle of the field. The agent itself and what has
no tag that the sensor knows are not seen. Cells are flat and lie at the height of the agent's middle, so what is above
or below is not seen either, and a ball only as wide as it is there. The work is in `gridsensor_numba`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mlagents_envs.base_env import DimensionProperty, ObservationSpec, ObservationType
from mlagents_envs.examples.example import Array


@dataclass(frozen=True)
class GridSensor:
    """A field of square cells of 1 m, `across` from left to right times `along` from back to front."""

    name: str
    tags: int  # how many it distinguishes
    across: int
    along: int
    ahead: float = 0.0  # m from the agent's middle to that of the field

    @property
    def shape(self) -> tuple[int, int, int]:
        """What one agent sees: tag, cell from right to left, cell from back to front, as Unity has it."""
        return self.tags, self.across, self.along

    @property
    def spec(self) -> ObservationSpec:
        """The sensor as the low-level API has it, with Unity's name for it."""
        flat = DimensionProperty.TRANSLATIONAL_EQUIVARIANCE
        return ObservationSpec(
            self.shape, (DimensionProperty.NONE, flat, flat), ObservationType.DEFAULT, f"{self.name}-OneHot"
        )


class Grid(NamedTuple):
    """A grid sensor as a kernel takes it."""

    ahead: float  # m
    channels: Array  # (tags of the scene,) int64: the place of each in the one-hot, -1 = not known to the sensor
    nearest: Array  # (across, along) float32, scratch: squared distance to what each cell shows
    shown: Array  # (across, along) int64, scratch: which place of the one-hot that is


def grid(sensor: GridSensor, *, channels: Sequence[int] | None = None) -> Grid:
    """Return what kernels need of a sensor.

    channels: the place of each tag of the scene in the one-hot, -1 = unknown to the sensor; the same order if None.
    """
    places = range(sensor.tags) if channels is None else channels
    cells = (sensor.across, sensor.along)
    return Grid(sensor.ahead, np.array(places, np.int64), np.zeros(cells, np.float32), np.zeros(cells, np.int64))
