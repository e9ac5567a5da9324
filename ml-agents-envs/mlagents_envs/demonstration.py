"""Demonstration files (`.demo`): what an agent saw, did and was given, as Unity's recorder writes it.

A file has 33 bytes for its metadata, then the behavior's parameters, then one record per decision. Unity appends a
second, bare copy of the metadata when it closes a file, so reading stops after as many records as the metadata says.
recording.py writes such files, growing.py reads them while they are written.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError, Message
from numpy.typing import NDArray

from mlagents_envs.base_env import ActionSpec, ActionTuple, BehaviorSpec
from mlagents_envs.communicator_objects.agent_info_action_pair_pb2 import AgentInfoActionPairProto
from mlagents_envs.communicator_objects.brain_parameters_pb2 import BrainParametersProto
from mlagents_envs.communicator_objects.demonstration_meta_pb2 import DemonstrationMetaProto
from mlagents_envs.communicator_objects.observation_pb2 import ObservationProto
from mlagents_envs.exception import DemonstrationException, UnityException, UnityObservationException
from mlagents_envs.wire.images import decode_png
from mlagents_envs.wire.specs import behavior_spec

Array = NDArray[Any]
SUFFIX = ".demo"
HEADER = 33  # bytes before the behavior's parameters
API_VERSIONS = (0, 1)


class CutShort(DemonstrationException):
    """A file ends in the middle of a message."""


@dataclass(frozen=True)
class Demonstration:
    """Records in the order in which they were made; n is their number.

    Record k holds what was seen, the reward of arriving there, and the action taken from there; where `done`, the
    episode ended and the action means nothing.
    """

    name: str
    behavior: str  # may carry `?team=id`
    spec: BehaviorSpec
    obs: tuple[Array, ...]  # one (n, *shape) float32 per sensor
    reward: Array  # (n,) float32
    done: Array  # (n,) bool
    interrupted: Array  # (n,) bool, the episode was cut by a limit
    mask: Array  # (n, sum of branches) bool, True = allowed
    action: ActionTuple

    def __len__(self) -> int:
        return len(self.reward)

    def __getitem__(self, rows: slice) -> Demonstration:
        """Return some of the records."""
        return replace(
            self,
            obs=tuple(column[rows] for column in self.obs),
            reward=self.reward[rows],
            done=self.done[rows],
            interrupted=self.interrupted[rows],
            mask=self.mask[rows],
            action=ActionTuple(self.action.continuous[rows], self.action.discrete[rows]),
        )

    @property
    def episodes(self) -> int:
        """How many episodes ended, and one more if the last is unfinished."""
        return int(self.done.sum()) + int(len(self) > 0 and not self.done[-1])


def read(path: str | Path) -> Demonstration:
    """Return a demonstration.

    Raises FileNotFoundError, ValueError for a file of another kind, DemonstrationException for one that is damaged.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise ValueError(f"{path} is no demonstration: its name does not end in {SUFFIX}")
    data = path.read_bytes()
    meta = metadata(data, path)
    parameters = BrainParametersProto()
    place = parse(parameters, data, HEADER, path)
    records = list(_records(data, place, meta.number_steps, path))
    if not records:
        raise DemonstrationException(f"{path} holds no record")
    return columns(meta.demonstration_name, parameters, records, path)


def joined(one: Demonstration, other: Demonstration) -> Demonstration:
    """Return the records of one and then those of another that goes on where it ended."""
    return replace(
        other,
        obs=tuple(np.concatenate(pair) for pair in zip(one.obs, other.obs, strict=True)),
        reward=np.concatenate([one.reward, other.reward]),
        done=np.concatenate([one.done, other.done]),
        interrupted=np.concatenate([one.interrupted, other.interrupted]),
        mask=np.concatenate([one.mask, other.mask]),
        action=ActionTuple(
            np.concatenate([one.action.continuous, other.action.continuous]),
            np.concatenate([one.action.discrete, other.action.discrete]),
        ),
    )


def metadata(data: bytes, path: Path) -> DemonstrationMetaProto:
    """Return what a file says of itself."""
    meta = DemonstrationMetaProto()
    parse(meta, data, 0, path)
    if meta.api_version not in API_VERSIONS:
        raise DemonstrationException(f"{path} has version {meta.api_version}; only 0 and 1 are known")
    return meta


def demonstration_files(path: str | Path) -> list[Path]:
    """Return the files of a demonstration, a folder of them, or a pattern, sorted by name.

    Raises FileNotFoundError if nothing is there, ValueError if it holds no demonstration.
    """
    place = Path(path)
    if place.is_dir():
        found = sorted(file for file in place.iterdir() if file.suffix == SUFFIX)
        if not found:
            raise ValueError(f"the folder {place} holds no {SUFFIX} file")
        return found
    found = [place] if place.is_file() else sorted(Path(name) for name in glob.glob(str(path)))
    if not found:
        raise FileNotFoundError(f"there is no demonstration {path}")
    for file in found:
        if file.suffix != SUFFIX:
            raise ValueError(f"{file} is no demonstration: its name does not end in {SUFFIX}")
    return found


def parse(message: Message, data: bytes, place: int, path: Path) -> int:
    """Read a message behind its length at `place`; return where the next one begins. Raises CutShort at the end."""
    length, shift = 0, 0
    while True:
        if place >= len(data):
            raise CutShort(f"{path} ends too early: it was cut, or its recording never finished")
        byte = data[place]
        place += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
        if shift > 35:
            raise DemonstrationException(f"{path} is damaged at byte {place}")
    if place + length > len(data):
        raise CutShort(f"{path} ends too early: it was cut, or its recording never finished")
    try:
        message.ParseFromString(data[place : place + length])
    except DecodeError as error:
        raise DemonstrationException(f"{path} is damaged at byte {place}: {error}") from error
    return place + length


def _records(data: bytes, place: int, count: int, path: Path) -> Iterator[AgentInfoActionPairProto]:
    for _ in range(count):
        record = AgentInfoActionPairProto()
        place = parse(record, data, place, path)
        yield record


def columns(
    name: str, parameters: BrainParametersProto, records: Sequence[AgentInfoActionPairProto], path: Path
) -> Demonstration:
    """Return the table of at least one record."""
    try:
        spec = behavior_spec(parameters, records[0].agent_info)
    except UnityException as error:
        raise DemonstrationException(f"{path}: {error}") from error
    sensors, actions = spec.observation_specs, spec.action_spec
    infos = [record.agent_info for record in records]
    obs = []
    for i, sensor in enumerate(sensors):
        seen = [_numbers(info.observations[i], path) for info in infos]
        if any(column.shape != sensor.shape for column in seen):
            raise DemonstrationException(f"{path}: sensor {i} changes its shape, {sensor.shape} at first")
        obs.append(np.stack(seen))
    size = sum(actions.discrete_branches)
    mask = np.ones((len(infos), size), bool)
    for row, info in enumerate(infos):
        if info.action_mask:
            mask[row] = np.logical_not(info.action_mask)
    return Demonstration(
        name=name,
        behavior=parameters.brain_name,
        spec=spec,
        obs=tuple(obs),
        reward=np.array([info.reward for info in infos], np.float32),
        done=np.array([info.done for info in infos]),
        interrupted=np.array([info.max_step_reached for info in infos]),
        mask=mask,
        action=_acted(records, actions),
    )


def _numbers(observation: ObservationProto, path: Path) -> Array:
    shape = tuple(observation.shape)
    if observation.HasField("compressed_data"):
        try:
            return decode_png(observation.compressed_data, shape, tuple(observation.compressed_channel_mapping))
        except (UnityObservationException, ValueError) as error:
            raise DemonstrationException(f"{path}: an image of shape {shape} cannot be read: {error}") from error
    numbers = np.array(observation.float_data.data, np.float32)
    if numbers.size != int(np.prod(shape)):
        raise DemonstrationException(f"{path}: an observation has {numbers.size} numbers, its shape is {shape}")
    return numbers.reshape(shape)


def _acted(records: Sequence[AgentInfoActionPairProto], spec: ActionSpec) -> ActionTuple:
    continuous = np.zeros((len(records), spec.continuous_size), np.float32)
    discrete = np.zeros((len(records), spec.discrete_size), np.int32)
    for row, record in enumerate(records):
        did = record.action_info
        typed = did.continuous_actions or did.discrete_actions
        old = did.vector_actions_deprecated
        if did.continuous_actions or (not typed and old and spec.continuous_size):
            continuous[row] = did.continuous_actions or old
        if did.discrete_actions or (not typed and old and not spec.continuous_size):
            discrete[row] = did.discrete_actions or [int(choice) for choice in old]
    return ActionTuple(continuous, discrete)
