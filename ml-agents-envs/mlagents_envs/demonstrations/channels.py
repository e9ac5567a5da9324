"""The layout of a file's images: channels are first now, and were last in many releases of Unity's package."""

from __future__ import annotations

from enum import Enum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlagents_envs.base_env import ObservationSpec
from mlagents_envs.communicator_objects.observation_pb2 import ObservationProto
from mlagents_envs.exception import UnityObservationException
from mlagents_envs.wire.images import decode_png
from mlagents_envs.wire.packages import CHANNELS_FIRST, CHANNELS_LAST
from mlagents_envs.wire.specs import observation_spec

Array = NDArray[Any]
Images = Literal["auto", "channels_first", "channels_last"]


class Channels(Enum):
    """The layout of a sensor's channels in a file."""

    AS_SHAPED = "the numbers have the layout of the shape"
    LAST = "both the shape and the numbers are (height, width, channels)"
    LAST_BELOW_FIRST = "the shape is (channels, height, width), the numbers are (height, width, channels)"


def channels_of(observation: ObservationProto, images: Images) -> Channels:
    """Return the layout of a sensor's channels, from its first observation.

    `wire.packages` lists what each release sends, and files have the same layouts. But no file names its release:
    without dimension properties it is one before 2.0, and properties show channels that are last in the shape. The
    layout of numbers with a shape of (channels, height, width) is ambiguous: `images` decides, and `auto` takes the
    layout of the shape, see `is_ambiguous`.
    """
    properties = tuple(observation.dimension_properties)
    if len(observation.shape) != 3:
        return Channels.AS_SHAPED
    if not properties or properties == CHANNELS_LAST:
        return Channels.LAST
    return Channels.LAST_BELOW_FIRST if images == "channels_last" else Channels.AS_SHAPED


def is_ambiguous(observation: ObservationProto, channels: Channels) -> bool:
    """Return whether the file does not determine the layout of this image; a single channel has only one."""
    return (
        channels is not Channels.LAST
        and len(observation.shape) == 3
        and observation.HasField("float_data")
        and observation.shape[0] > 1
        and observation.shape[1] * observation.shape[2] > 1
    )


def sensor_spec(observation: ObservationProto, channels: Channels) -> ObservationSpec:
    """Return the spec of a sensor, channels first. Raises UnityObservationException for an impossible shape."""
    spec = observation_spec(observation)
    if channels is not Channels.LAST:
        return spec
    height, width, depth = observation.shape
    return spec._replace(shape=(depth, height, width), dimension_property=CHANNELS_FIRST)


def numbers_of(observation: ObservationProto, channels: Channels) -> Array:
    """Return an observation as (*shape) float32, channels first.

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
