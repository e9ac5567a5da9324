"""Columns by way of protobuf: for images, where nothing is compiled, and to say what is wrong with a message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet
from numpy.typing import NDArray

from mlagents_envs.base_env import BehaviorSpec, ObservationSpec
from mlagents_envs.communicator_objects.agent_info_pb2 import AgentInfoProto
from mlagents_envs.communicator_objects.observation_pb2 import ObservationProto
from mlagents_envs.exception import UnityCommunicationException, UnityObservationException
from mlagents_envs.wire.agents_pb2 import Agents
from mlagents_envs.wire.columns import Columns, empty_columns, observations
from mlagents_envs.wire.images import decode_png
from mlagents_envs.wire.packages import Layout

Array = NDArray[Any]
UNCOMPRESSED, PNG = 0, 1


def read(raw: bytes, spec: BehaviorSpec, layouts: Sequence[Layout]) -> Columns:
    """Return the columns of the agents in a list of them; layouts: how the numbers of each sensor travel.

    Raises UnityCommunicationException if the bytes are no such list, UnityObservationException for an observation that
    is not what its sensor sends.
    """
    try:
        agents = Agents.FromString(raw).value
    except DecodeError as error:
        raise UnityCommunicationException(f"a list of agents cannot be read: {error}") from error
    columns = empty_columns(len(agents), spec)
    columns.agent[:] = [agent.id for agent in agents]
    columns.group[:] = [agent.group_id for agent in agents]
    columns.number[0] = [agent.reward for agent in agents]
    columns.number[1] = [agent.group_reward for agent in agents]
    columns.flag[0] = [agent.done for agent in agents]
    columns.flag[1] = [agent.max_step_reached for agent in agents]
    if columns.mask.shape[1]:
        _read_masks(agents, columns.mask)
    _read_observations(agents, spec, layouts, observations(columns, spec))
    return columns


def _read_masks(agents: Any, mask: Array) -> None:
    """A mask that is missing or of another length forbids nothing."""
    for row, agent in enumerate(agents):
        flags = agent.action_mask
        if not flags and len(UnknownFieldSet(agent)):  # perhaps a mask whose flags are not packed
            flags = bytes(AgentInfoProto.FromString(agent.SerializeToString()).action_mask)
        if len(flags) == mask.shape[1]:
            mask[row] = np.frombuffer(flags, np.uint8) != 0


def _read_observations(agents: Any, spec: BehaviorSpec, layouts: Sequence[Layout], seen: list[Array]) -> None:
    """Write what agents see into one (n, *shape) array per sensor."""
    sensors = spec.observation_specs
    for row, agent in enumerate(agents):
        if len(agent.observations) != len(sensors):
            raise UnityObservationException(
                f"agent {agent.id} sends {len(agent.observations)} observations, {len(sensors)} are expected"
            )
        for number, (sensor, layout, sent) in enumerate(zip(sensors, layouts, agent.observations, strict=True)):
            seen[number][row] = _observation(f"agent {agent.id}, observation {number}", sensor, layout, sent)


def _observation(where: str, sensor: ObservationSpec, layout: Layout, sent: Any) -> Array:
    try:
        return _numbers(sensor, layout, sent)
    except UnityObservationException as error:
        raise UnityObservationException(f"{where} ('{sensor.name}'): {error}") from error


def _numbers(sensor: ObservationSpec, layout: Layout, sent: Any) -> Array:
    """Return one observation in the shape of its sensor."""
    shape = tuple(sent.shape)
    if shape != layout.shape:
        raise UnityObservationException(f"its shape is {shape}, that of its sensor {layout.shape}")
    if sent.compression_type == PNG:
        if len(shape) != 3:
            raise UnityObservationException(f"it is an image, but its shape is {shape}")
        return decode_png(sent.compressed_data, sensor.shape, tuple(sent.compressed_channel_mapping))
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
    return np.array(numbers, np.float32)
