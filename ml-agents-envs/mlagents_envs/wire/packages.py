"""How each release of Unity's package com.unity.ml-agents sends images, by the version in the handshake.

| releases | shape | dimension properties | numbers of an uncompressed image |
|---|---|---|---|
| before 2.0.0 | (H, W, C) | none | (H, W, C) |
| 2.0.0 to 2.3.0 | (H, W, C) | (2, 2, 1) | (H, W, C) |
| 3.0.0-exp.1, 3.0.0, 4.0.0 | (C, H, W) | (1, 2, 2) | (H, W, C) |
| from 4.0.1 on | (C, H, W) | (1, 2, 2) | (C, H, W) |

All of them have protocol 1.5.0 from 1.9 on. PNG has its channels last by itself, so only the shape matters there.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from numpy.typing import NDArray

from mlagents_envs.base_env import DimensionProperty, ObservationSpec

Array = NDArray[Any]
_NONE, _MOVES = DimensionProperty.NONE, DimensionProperty.TRANSLATIONAL_EQUIVARIANCE
CHANNELS_FIRST, CHANNELS_LAST = (_NONE, _MOVES, _MOVES), (_MOVES, _MOVES, _NONE)
WITH_PROPERTIES = (2, 0, 0)  # the first release that sends dimension properties
WITH_CHANNELS_FIRST = (3, 0, 0)  # the first whose shapes are (C, H, W)
WITH_NUMBERS_LAST = (4, 0, 0)  # the last that writes the numbers of such a shape as (H, W, C)


class SensorLayout(NamedTuple):
    """How one sensor's observation is sent uncompressed."""

    shape: tuple[int, ...]  # in the message
    stored: tuple[int, ...]  # shape of the numbers in the message
    axes: tuple[int, ...]  # those of `stored`, in the order in which the specification has them

    @property
    def moves(self) -> bool:
        """Do the numbers come in another order than the specification's?"""
        return self.axes != tuple(range(len(self.axes)))

    def arrange(self, numbers: Array) -> Array:
        """Return (n, *stored) numbers as a view with the specification's axes."""
        arranged: Array = numbers.transpose(0, *(axis + 1 for axis in self.axes))
        return arranged


class Package(NamedTuple):
    """A release of com.unity.ml-agents."""

    version: str  # as the handshake has it
    release: tuple[int, int, int] | None  # None: that is no version

    def __str__(self) -> str:
        return f"com.unity.ml-agents {self.version}" if self.version else "com.unity.ml-agents of unknown version"

    def has_channels_last(self, sensor: ObservationSpec) -> bool:
        """Is this sensor, as it is sent, an image of (height, width, channels)?

        Its dimension properties decide, or the release where there are none; never its sizes.
        """
        if len(sensor.shape) != 3:
            return False
        if any(sensor.dimension_property):
            return sensor.dimension_property == CHANNELS_LAST
        return self.release is not None and self.release < WITH_CHANNELS_FIRST

    def specification(self, sensor: ObservationSpec) -> ObservationSpec:
        """Return a sensor that is sent as it is read: images have (channels, height, width)."""
        if not self.has_channels_last(sensor):
            return sensor
        height, width, channels = sensor.shape
        return sensor._replace(shape=(channels, height, width), dimension_property=CHANNELS_FIRST)

    def layout(self, sensor: ObservationSpec) -> SensorLayout:
        """Return how the numbers of a sensor that is sent are read."""
        stored, axes = sensor.shape, tuple(range(len(sensor.shape)))
        if self._writes_numbers_last(sensor):
            stored, axes = (*stored[1:], stored[0]), (2, 0, 1)
        if self.has_channels_last(sensor):
            axes = (axes[2], axes[0], axes[1])
        return SensorLayout(sensor.shape, stored, axes)

    def sent(self, sensor: ObservationSpec) -> tuple[ObservationSpec, bool]:
        """Return how this release sends a sensor, and whether it writes its (C, H, W) numbers as (H, W, C)."""
        if self.release is None or self.release >= WITH_CHANNELS_FIRST:
            return sensor, self._writes_numbers_last(sensor)
        properties = sensor.dimension_property if self.release >= WITH_PROPERTIES else ()
        if len(sensor.shape) != 3 or (any(properties) and properties != CHANNELS_FIRST):
            return sensor._replace(dimension_property=properties), False
        channels, height, width = sensor.shape
        properties = CHANNELS_LAST if any(properties) else properties
        return sensor._replace(shape=(height, width, channels), dimension_property=properties), True

    def warning(self, sensor: ObservationSpec) -> str | None:
        """Return a warning of how an image is read if the release is not known."""
        if self.release is not None or len(sensor.shape) != 3:
            return None
        last = self.has_channels_last(sensor)
        properties = tuple(int(meaning) for meaning in sensor.dimension_property)
        return (
            f"the player's package version {self.version!r} is not known; sensor '{sensor.name}' of shape "
            f"{sensor.shape} is read as {'(height, width, channels)' if last else '(channels, height, width)'}, since "
            f"its dimension properties are {properties}"
        )

    def _writes_numbers_last(self, sensor: ObservationSpec) -> bool:
        if self.release is None or len(sensor.shape) != 3 or sensor.shape[0] == 1:
            return False
        return WITH_CHANNELS_FIRST <= self.release <= WITH_NUMBERS_LAST


def read_package(version: str) -> Package:
    """Return the release that a version such as 2.0.1 or 3.0.0-exp.1 names."""
    match = re.match(r"\s*(\d{1,9})\.(\d{1,9})(?:\.(\d{1,9}))?(?!\d)", version, re.ASCII)
    return Package(version, (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None)


def plain_layout(sensor: ObservationSpec) -> SensorLayout:
    """Return the layout of numbers that are sent as the specification has them."""
    return SensorLayout(sensor.shape, sensor.shape, tuple(range(len(sensor.shape))))


CURRENT = read_package("4.0.1")
"""The latest release that is known."""
