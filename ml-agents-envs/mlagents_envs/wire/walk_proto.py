"""Reads columns with protobuf: for images, without numba, and to report what is wrong with a message."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from mlagents_envs.base_env import BehaviorSpec, ObservationSpec
from mlagents_envs.communicator_objects.agent_info_pb2 import AgentInfoProto
from mlagents_envs.communicator_objects.observation_pb2 import ObservationProto
from mlagents_envs.exception import UnityCommunicationException, UnityObservationException
from mlagents_envs.wire.agents_pb2 import Agent, Observation
from mlagents_envs.wire.columns import Columns, empty_columns, observations, sensor_sizes
from mlagents_envs.wire.fields import Malformed, read_fields
from mlagents_envs.wire.images import SMALLEST_PNG, decode_png
from mlagents_envs.wire.packages import SensorLayout

Array = NDArray[Any]
UNCOMPRESSED, PNG = 0, 1
COMPRESSED_DATA, FLOAT_DATA = 3, 4  # fields of an observation
LONGEST_DESCRIPTION = 2**18  # bytes of an observation besides its data, which become up to ten times as many


def check_description(observation: memoryview) -> None:
    """Raise UnityObservationException for an observation whose description is longer than any sensor's."""
    data = sum(len(part) for field, _, part in read_fields(observation) if field in (COMPRESSED_DATA, FLOAT_DATA))
    if len(observation) - data > LONGEST_DESCRIPTION:
        raise UnityObservationException(
            f"shape, name and mapping have {len(observation) - data} bytes; {LONGEST_DESCRIPTION} are the most"
        )


class Census(NamedTuple):
    """What an agent's bytes hold, before any of them becomes an object."""

    id: int
    observations: int
    loose_mask: bool  # are there flags that are not packed?


def read(raw: memoryview, spec: BehaviorSpec, layouts: Sequence[SensorLayout]) -> Columns:
    """Return the columns of the agents in a list of them; layouts: how the numbers of each sensor travel.

    One agent after another becomes objects, which take many times its bytes. Raises UnityCommunicationException if the
    bytes are no such list, UnityObservationException for an observation that is not what its sensor sends.
    """
    try:
        n = sum(1 for _ in _agents(raw, spec, layouts))
        columns = empty_columns(n, spec, len(raw))
        seen = observations(columns, spec)
        for row, part in enumerate(_agents(raw, spec, layouts)):
            _read_agent(row, part, columns, seen, spec, layouts)
    except (DecodeError, Malformed) as error:
        raise UnityCommunicationException(f"a list of agents cannot be read: {error}") from error
    return columns


def _agents(raw: memoryview, spec: BehaviorSpec, layouts: Sequence[SensorLayout]) -> Iterator[memoryview]:
    """Yield the bytes of each agent; one whose observations cannot lie in them is refused before others are counted."""
    smallest = sum(min(4 * size, SMALLEST_PNG) for size in sensor_sizes(spec))
    for field, _, part in read_fields(raw):
        if field == 1:
            if len(part) < smallest:
                for _ in _observations(part, spec, layouts):  # raises with what is missing
                    pass
            yield part


def _read_agent(
    row: int, part: memoryview, columns: Columns, seen: list[Array], spec: BehaviorSpec, layouts: Sequence[SensorLayout]
) -> None:
    """Write one agent's data into its row."""
    for number, numbers in enumerate(_observations(part, spec, layouts)):
        seen[number][row] = numbers
    agent = Agent.FromString(bytes(part))
    columns.agent[row], columns.group[row] = agent.id, agent.group_id
    columns.number[:, row] = agent.reward, agent.group_reward
    columns.flag[:, row] = agent.done, agent.max_step_reached
    if columns.mask.shape[1]:
        flags = agent.action_mask
        if not flags and _census(part).loose_mask:
            flags = bytes(AgentInfoProto.FromString(bytes(part)).action_mask)
        if len(flags) == columns.mask.shape[1]:  # one that is missing or of another length forbids nothing
            columns.mask[row] = np.frombuffer(flags, np.uint8) != 0


def _census(part: memoryview) -> Census:
    agent, seen, loose = 0, 0, False
    for field, number, _ in read_fields(part):
        if field == 10:
            agent = number
        elif field == 13:
            seen += 1
        elif field == 11 and number >= 0:
            loose = True
    return Census(agent, seen, loose)


def _observations(part: memoryview, spec: BehaviorSpec, layouts: Sequence[SensorLayout]) -> Iterator[Array]:
    """Yield an agent's observations, in the shape of each sensor."""
    sensors, census = spec.observation_specs, _census(part)
    if census.observations != len(sensors):
        raise UnityObservationException(
            f"agent {census.id} sends {census.observations} observations, {len(sensors)} are expected"
        )
    sent = (value for field, _, value in read_fields(part) if field == 13)
    for number, (sensor, layout, value) in enumerate(zip(sensors, layouts, sent, strict=True)):
        yield _observation(f"agent {census.id}, observation {number}", sensor, layout, value)


def _observation(where: str, sensor: ObservationSpec, layout: SensorLayout, value: memoryview) -> Array:
    try:
        check_description(value)
        return _numbers(sensor, layout, Observation.FromString(bytes(value)))
    except UnityObservationException as error:
        raise UnityObservationException(f"{where} ('{sensor.name}'): {error}") from error


def _numbers(sensor: ObservationSpec, layout: SensorLayout, sent: Any) -> Array:
    """Return one observation in the shape of its sensor."""
    shape = tuple(sent.shape[: len(layout.shape) + 1])
    if shape != layout.shape:
        raise UnityObservationException(f"its shape is {shape}, that of its sensor {layout.shape}")
    if sent.compression_type == PNG:
        if len(shape) != 3:
            raise UnityObservationException(f"it is an image, but its shape is {shape}")
        return decode_png(sent.compressed_data, sensor.shape, sent.compressed_channel_mapping)
    if sent.compression_type != UNCOMPRESSED:
        raise UnityObservationException(f"it is compressed in the way {sent.compression_type}; only 1, PNG, is known")
    size = int(np.prod(shape))
    numbers = np.frombuffer(data, "<f4") if len(data := sent.float_data.data) == 4 * size else _unpacked(sent, size)
    arranged: Array = layout.arrange(numbers.reshape(1, *layout.stored))[0]
    return arranged


def _unpacked(sent: Any, size: int) -> Array:
    """Return numbers that are not packed."""
    numbers = ObservationProto.FromString(sent.SerializeToString()).float_data.data
    if len(numbers) != size:
        raise UnityObservationException(f"it has {len(numbers)} numbers; its shape is {tuple(sent.shape)}")
    return np.fromiter(numbers, np.float32, size)
