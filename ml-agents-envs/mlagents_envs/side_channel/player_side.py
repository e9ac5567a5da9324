"""The player's side of the side channels, for a player written in Python: reading and writing payloads.

Functions that read raise UnitySideChannelException for an invalid payload.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum
from typing import TypeVar

from mlagents_envs.exception import UnitySideChannelException
from mlagents_envs.samplers import Gaussian, MultiRangeUniform, Sampler, Uniform
from mlagents_envs.side_channel.framing import frame, records
from mlagents_envs.side_channel.identifiers import (
    ENGINE_CONFIGURATION,
    ENVIRONMENT_PARAMETERS,
    FLOAT_PROPERTIES,
    STATISTICS,
    TRAINING_ANALYTICS,
    EngineSetting,
    ParameterKind,
    SamplerKind,
    StatsAggregationMethod,
)
from mlagents_envs.side_channel.incoming_message import IncomingMessage
from mlagents_envs.side_channel.outgoing_message import OutgoingMessage

__all__ = [
    "ENGINE_CONFIGURATION",
    "ENVIRONMENT_PARAMETERS",
    "FLOAT_PROPERTIES",
    "STATISTICS",
    "TRAINING_ANALYTICS",
    "StatsAggregationMethod",
    "float_property",
    "frame",
    "read_engine",
    "read_float_property",
    "read_parameter",
    "records",
    "stat",
]

Kind = TypeVar("Kind", bound=IntEnum)


def read_parameter(payload: bytes) -> tuple[str, float | Sampler]:
    """Return an environment parameter: its name, and a number or what to draw it from."""
    message = IncomingMessage(payload)
    key = message.read_string()
    place = f"environment parameter {key!r}"
    if _kind(ParameterKind, message.read_int32(), place) is ParameterKind.FLOAT:
        return key, message.read_float32()
    return key, _read_sampler(message, place)


def _read_sampler(message: IncomingMessage, place: str) -> Sampler:
    seed = message.read_int32() & 0xFFFFFFFF  # numpy accepts no negative seeds, Unity does
    kind = _kind(SamplerKind, message.read_int32(), place)
    if kind is SamplerKind.MULTIRANGEUNIFORM:
        ends = message.read_float32_list()
        intervals = list(zip(ends[::2], ends[1::2], strict=False))
        if not ends or len(ends) % 2 or not all(map(_is_interval, intervals)):
            raise _impossible(place, kind, ends)
        return MultiRangeUniform(intervals, seed)
    first, second = message.read_float32(), message.read_float32()
    if kind is SamplerKind.UNIFORM:
        if not _is_interval((first, second)):
            raise _impossible(place, kind, (first, second))
        return Uniform(first, second, seed)
    if not (math.isfinite(first) and math.isfinite(second) and second >= 0):
        raise _impossible(place, kind, (first, second))
    return Gaussian(first, second, seed)


def read_engine(payload: bytes) -> dict[str, float]:
    """Return the fields of EngineConfig that a record sets, two for the resolution and one for all others."""
    message = IncomingMessage(payload)
    setting = _kind(EngineSetting, message.read_int32(), "engine configuration")
    if setting is EngineSetting.SCREEN_RESOLUTION:
        return {"width": message.read_int32(), "height": message.read_int32()}
    if setting is EngineSetting.TIME_SCALE:
        return {"time_scale": message.read_float32()}
    return {setting.name.lower(): message.read_int32()}


def read_float_property(payload: bytes) -> tuple[str, float]:
    """Return the name and value of a float property."""
    message = IncomingMessage(payload)
    return message.read_string(), message.read_float32()


def float_property(name: str, value: float) -> bytes:
    """Return a payload for the float properties."""
    message = OutgoingMessage()
    message.write_string(name)
    message.write_float32(value)
    return bytes(message.buffer)


def stat(name: str, value: float, aggregation: StatsAggregationMethod = StatsAggregationMethod.AVERAGE) -> bytes:
    """Return a payload for the statistics."""
    message = OutgoingMessage()
    message.write_string(name)
    message.write_float32(value)
    message.write_int32(aggregation.value)
    return bytes(message.buffer)


def _kind(kinds: type[Kind], number: int, place: str) -> Kind:
    try:
        return kinds(number)
    except ValueError as error:
        known = ", ".join(f"{kind.value} {kind.name}" for kind in kinds)
        raise UnitySideChannelException(f"{place}: {number} is no {kinds.__name__}; known are {known}") from error


def _is_interval(ends: tuple[float, float]) -> bool:
    smallest, largest = ends
    return math.isfinite(smallest) and math.isfinite(largest) and smallest <= largest


def _impossible(place: str, kind: SamplerKind, numbers: Sequence[float]) -> UnitySideChannelException:
    need = "a mean and a deviation of at least 0" if kind is SamplerKind.GAUSSIAN else "pairs of smallest and largest"
    return UnitySideChannelException(f"{place}: nothing can be drawn from {kind.name} {list(numbers)}; send {need}")
