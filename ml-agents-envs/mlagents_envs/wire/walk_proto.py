"""Columns by way of protobuf: for images, where nothing is compiled, and to say what is wrong with a message."""

from __future__ import annotations

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

Array = NDArray[Any]
PNG = 1


def read(raw: bytes, spec: BehaviorSpec) -> Columns:
    """Return the columns of the agents in a list of them.

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
    _read_observations(agents, spec, observations(columns, spec))
    return columns


def _read_masks(agents: Any, mask: Array) -> None:
    """A mask that is missing or of another length forbids nothing."""
    for row, agent in enumerate(agents):
        flags = agent.action_mask
        if not flags and len(UnknownFieldSet(agent)):  # perhaps a mask whose flags are not packed
            flags = bytes(AgentInfoProto.FromString(agent.SerializeToString()).action_mask)
        if len(flags) == mask.shape[1]:
            mask[row] = np.frombuffer(flags, np.uint8) != 0


def _read_observations(agents: Any, spec: BehaviorSpec, seen: list[Array]) -> None:
    """Write what agents see into one (n, *shape) array per sensor."""
    sensors = spec.observation_specs
    for row, agent in enumerate(agents):
        if len(agent.observations) != len(sensors):
            raise UnityObservationException(
                f"agent {agent.id} sends {len(agent.observations)} observations, {len(sensors)} are expected"
            )
        for number, (sensor, sent) in enumerate(zip(sensors, agent.observations, strict=True)):
            seen[number][row] = _observation(f"agent {agent.id}, observation {number}", sensor, sent)


def _observation(where: str, sensor: ObservationSpec, sent: Any) -> Array:
    try:
        return _numbers(sensor, sent)
    except UnityObservationException as error:
        raise UnityObservationException(f"{where} ('{sensor.name}'): {error}") from error


def _numbers(sensor: ObservationSpec, sent: Any) -> Array:
    """Return one observation in the shape of its sensor."""
    shape = tuple(sent.shape)
    if shape != sensor.shape:
        raise UnityObservationException(f"its shape is {shape}, that of its sensor {sensor.shape}")
    if sent.compression_type == PNG:
        if len(shape) != 3:
            raise UnityObservationException(f"it is an image, but its shape is {shape}")
        return decode_png(sent.compressed_data, shape, tuple(sent.compressed_channel_mapping))
    data = sent.float_data.data
    if len(data) == 4 * int(np.prod(shape)):
        return np.frombuffer(data, "<f4").reshape(shape)
    unpacked = ObservationProto.FromString(sent.SerializeToString()).float_data.data
    if len(unpacked) != int(np.prod(shape)):
        raise UnityObservationException(f"it has {len(unpacked)} numbers; its shape is {shape}")
    return np.array(unpacked, np.float32).reshape(shape)
