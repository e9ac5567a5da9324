"""Writes demonstration files (`.demo`) as Unity's recorder does: record by record, so that others may follow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from google.protobuf.message import Message
from typing_extensions import Self

from mlagents_envs.base_env import BehaviorSpec
from mlagents_envs.communicator_objects.agent_info_action_pair_pb2 import AgentInfoActionPairProto
from mlagents_envs.communicator_objects.demonstration_meta_pb2 import DemonstrationMetaProto
from mlagents_envs.demonstration import HEADER, Array, Demonstration
from mlagents_envs.wire.fields import varint
from mlagents_envs.wire.specs import brain_parameters

NAME_LENGTH = 16  # letters of a demonstration's name that fit into the header


class DemonstrationRecorder:
    """A demonstration that is being made. Each record is in the file when `record` returns.

    As a context manager it closes itself; until then the file's metadata says that it holds nothing.
    """

    def __init__(self, path: str | Path, behavior: str, spec: BehaviorSpec, *, name: str | None = None) -> None:
        """name: of the demonstration; that of the file if None. A file that exists is replaced."""
        self.spec = spec
        self._meta = DemonstrationMetaProto(api_version=1, demonstration_name=(name or Path(path).stem)[:NAME_LENGTH])
        self._total = 0.0  # reward
        self._ended = 0  # episodes
        self._file = open(path, "wb")  # noqa: SIM115  # it stays open until close
        self._file.write(_delimited(self._meta).ljust(HEADER, b"\0")[:HEADER])
        self._file.write(_delimited(brain_parameters(behavior, spec.action_spec)))
        self._file.flush()

    def record(
        self, obs: Sequence[Array], reward: float, continuous: Array, discrete: Array,
        *, mask: Array | None = None, done: bool = False, interrupted: bool = False,
    ) -> None:  # fmt: skip
        """Add what an agent saw, was given for arriving there, and did from there.

        obs: one (*shape) per sensor. mask: (sum of branch sizes,) bool, True = allowed. Where done, the actions count
        for nothing.
        """
        pair = AgentInfoActionPairProto()
        info = pair.agent_info
        info.reward = reward
        info.done = done
        info.max_step_reached = interrupted
        if mask is not None and not mask.all():
            info.action_mask.extend(np.logical_not(mask).tolist())
        for sensor, column in zip(self.spec.observation_specs, obs, strict=True):
            observation = info.observations.add(name=sensor.name, observation_type=sensor.observation_type.value)
            observation.shape.extend(sensor.shape)
            observation.dimension_properties.extend(int(value) for value in sensor.dimension_property)
            observation.float_data.data.extend(np.asarray(column).ravel().tolist())
        pair.action_info.continuous_actions.extend(np.asarray(continuous).tolist())
        pair.action_info.discrete_actions.extend(np.asarray(discrete).tolist())
        self._file.write(_delimited(pair))
        self._file.flush()
        self._meta.number_steps += 1
        self._total += reward
        self._ended += done

    def close(self) -> None:
        """Finish the file. Closing twice does nothing."""
        if self._file.closed:
            return
        self._meta.number_episodes = self._ended + 1  # as Unity counts
        self._meta.mean_reward = self._total / self._meta.number_episodes
        self._file.write(self._meta.SerializeToString())
        self._file.seek(0)
        self._file.write(_delimited(self._meta).ljust(HEADER, b"\0")[:HEADER])
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def write(path: str | Path, demonstration: Demonstration) -> None:
    """Write a whole demonstration; images are written as numbers."""
    with DemonstrationRecorder(path, demonstration.behavior, demonstration.spec, name=demonstration.name) as recorder:
        for row in range(len(demonstration)):
            recorder.record(
                [column[row] for column in demonstration.obs],
                float(demonstration.reward[row]),
                demonstration.action.continuous[row],
                demonstration.action.discrete[row],
                mask=demonstration.mask[row],
                done=bool(demonstration.done[row]),
                interrupted=bool(demonstration.interrupted[row]),
            )


def _delimited(message: Message) -> bytes:
    body: bytes = message.SerializeToString()
    return varint(len(body)) + body
