"""Which kind of observation a sensor gives, by the properties of its axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mlagents.nn.layers import UnsupportedNetwork
from mlagents_envs.base_env import DimensionProperty, ObservationSpec

UNSPECIFIED, NONE, MOVES, MANY = (
    DimensionProperty.UNSPECIFIED, DimensionProperty.NONE, DimensionProperty.TRANSLATIONAL_EQUIVARIANCE,
    DimensionProperty.VARIABLE_SIZE,
)  # fmt: skip
VECTORS = ((NONE,), (UNSPECIFIED,))  # (size,)
IMAGES = ((NONE, MOVES, MOVES), (UNSPECIFIED,) * 3)  # (channels, height, width)
ENTITIES = ((MANY, NONE),)  # (most there can be, size)


class Kinds(NamedTuple):
    """The places of a behavior's sensors, by kind."""

    vectors: list[int]
    images: list[int]
    entities: list[int]


def by_kind(sensors: Sequence[ObservationSpec]) -> Kinds:
    """Return which sensors are of which kind; raises UnsupportedNetwork for one that is of none, or without any."""
    if not sensors:
        raise UnsupportedNetwork("the agents of this behavior see nothing: give them a sensor, or vector observations")
    kinds = Kinds([], [], [])
    for i, sensor in enumerate(sensors):
        _kind(kinds, sensor).append(i)
    return kinds


def _kind(kinds: Kinds, sensor: ObservationSpec) -> list[int]:
    axes = tuple(sensor.dimension_property)
    for kind, known in zip(kinds, (VECTORS, IMAGES, ENTITIES), strict=True):
        if axes in known and len(axes) == len(sensor.shape):
            return kind
    properties = ", ".join(str(DimensionProperty(axis).name) for axis in axes) or "nothing"
    raise UnsupportedNetwork(
        f"sensor '{sensor.name}' has shape {tuple(sensor.shape)}, and its axes say {properties}: nothing encodes that; "
        "make it a vector (NONE), an image (NONE, TRANSLATIONAL_EQUIVARIANCE twice) or a buffer (VARIABLE_SIZE, NONE)"
    )
