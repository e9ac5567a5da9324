"""How the images of a file lie: their channels come first today, and came last in many releases of Unity's package."""

from __future__ import annotations

from enum import Enum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlagents_envs.base_env import DimensionProperty, ObservationSpec
from mlagents_envs.communicator_objects.observation_pb2 import ObservationProto
from mlagents_envs.exception import UnityObservationException
from mlagents_envs.wire.images import decode_png
from mlagents_envs.wire.specs import observation_spec

Array = NDArray[Any]
Images = Literal["auto", "channels_first", "channels_last"]
_LAST = [
    DimensionProperty.TRANSLATIONAL_EQUIVARIANCE.value,
    DimensionProperty.TRANSLATIONAL_EQUIVARIANCE.value,
    DimensionProperty.NONE.value,
]  # properties of (height, width, channels)


class Channels(Enum):
    """Where the channels of a sensor lie in a file."""

    AS_SHAPED = "what the shape says is how the numbers lie"
    LAST = "both the shape and the numbers are (height, width, channels)"
    LAST_BELOW_FIRST = "the shape is (channels, height, width), the numbers are (height, width, channels)"


def channels_of(observation: ObservationProto, images: Images) -> Channels:
    """Return where a sensor's channels lie, as its first observation shows.

    Shapes are (height, width, channels) before package 2.0, which knows no dimension properties, and up to 2.3, where
    the properties say so; since 3.0.0-exp.1 they are (channels, height, width). What lies below such a shape where it
    is no PNG is (height, width, channels) up to 4.0.0, and as the shape says since 4.0.1. No file says its version:
    images says it, and `auto` takes it as the shape says, see `doubtful`.
    """
    properties = list(observation.dimension_properties)
    if len(observation.shape) != 3:
        return Channels.AS_SHAPED
    if not properties or properties == _LAST:
        return Channels.LAST
    return Channels.LAST_BELOW_FIRST if images == "channels_last" else Channels.AS_SHAPED


def doubtful(observation: ObservationProto, channels: Channels) -> bool:
    """Can nobody tell from a file in which order the numbers of this image lie? One channel has but one order."""
    return (
        channels is not Channels.LAST
        and len(observation.shape) == 3
        and observation.HasField("float_data")
        and observation.shape[0] > 1
        and observation.shape[1] * observation.shape[2] > 1
    )


def sensor_spec(observation: ObservationProto, channels: Channels) -> ObservationSpec:
    """Return what a sensor sends, its channels first. Raises UnityObservationException for what no sensor can send."""
    spec = observation_spec(observation)
    if channels is not Channels.LAST:
        return spec
    height, width, depth = observation.shape
    last = [DimensionProperty(value) for value in observation.dimension_properties]
    first = (last[2], last[0], last[1]) if last else (DimensionProperty.UNSPECIFIED,) * 3
    return ObservationSpec((depth, height, width), first, spec.observation_type, spec.name)


def numbers_of(observation: ObservationProto, channels: Channels) -> Array:
    """Return what a sensor sent as (*shape) float32, its channels first.

    Raises UnityObservationException, or ValueError, if its numbers or its PNG do not fit its shape.
    """
    shape = tuple(observation.shape)
    first = (shape[2], *shape[:2]) if channels is Channels.LAST else shape
    if observation.HasField("compressed_data"):
        return decode_png(observation.compressed_data, first, tuple(observation.compressed_channel_mapping))
    numbers = np.array(observation.float_data.data, np.float32)
    if numbers.size != int(np.prod(shape)):
        raise UnityObservationException(f"it has {numbers.size} numbers")
    if channels is Channels.AS_SHAPED:
        return numbers.reshape(shape)
    image = numbers.reshape(*first[1:], first[0]).transpose(2, 0, 1)
    return np.ascontiguousarray(image)
