"""Writes demonstration files (`.demo`) as Unity's recorder does, so that they can be read while they grow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import ArrayLike
from typing_extensions import Self

from mlagents_envs.base_env import BehaviorSpec, DimensionProperty
from mlagents_envs.communicator_objects.agent_info_action_pair_pb2 import AgentInfoActionPairProto
from mlagents_envs.communicator_objects.demonstration_meta_pb2 import DemonstrationMetaProto
from mlagents_envs.demonstrations.layout import delimited, header
from mlagents_envs.demonstrations.table import Array, Demonstration
from mlagents_envs.exception import DemonstrationException
from mlagents_envs.finite import LARGEST, unusable
from mlagents_envs.wire.specs import brain_parameters

NAME_LENGTH = 16  # characters of a demonstration's name, as in Unity
_REMOVED = re.compile(r"[^a-zA-Z0-9 -]")  # characters that Unity removes from a name


class DemonstrationRecorder:
    """Writes a demonstration. Each record is in the file when `record` returns.

    As a context manager it closes itself; until it is closed the file's metadata has no records.
    """

    def __init__(
        self, path: str | Path, behavior: str, spec: BehaviorSpec, *, name: str | None = None, overwrite: bool = False,
    ) -> None:  # fmt: skip
        """name: of the demonstration, of which [a-zA-Z0-9 -] stay, 16 at most; that of the file if None.

        overwrite: replace a file that is there. Raises DemonstrationException if there is one, OSError if none can be
        written.
        """
        self.spec = spec
        self._path = Path(path)
        name = _REMOVED.sub("", Path(path).stem if name is None else name)[:NAME_LENGTH]
        self._meta = DemonstrationMetaProto(api_version=1, demonstration_name=name)
        self._total = 0.0  # reward
        self._ended = 0  # episodes
        self._begins = True  # is the next record the first of an episode?
        parameters = brain_parameters(behavior, spec.action_spec)
        parameters.ClearField("is_training")  # as Unity's recordings
        try:
            self._file = open(path, "wb" if overwrite else "xb")  # noqa: SIM115  # it stays open until close
        except FileExistsError:
            raise DemonstrationException(
                f"{path} is there already; name another file, or replace it with overwrite=True"
            ) from None
        self._file.write(header(self._meta) + delimited(parameters))
        self._file.flush()

    def record(
        self, obs: Sequence[ArrayLike], reward: float, continuous: ArrayLike = (), discrete: ArrayLike = (),
        *, mask: ArrayLike | None = None, done: bool = False, interrupted: bool = False,
    ) -> None:  # fmt: skip
        """Add an agent's observation, the reward on arriving here, and the action that LED here.

        Call it before the agent's next decision: the action is the one that it took at the record before; where done,
        its last one. No action led to the first record, nor to the first one after an end: zeros are written there, as
        Unity does.

        obs: one (*shape) per sensor. continuous, discrete: one number per action, one choice per branch. mask: (sum of
        branch sizes,) bool, True = may be chosen next.
        Raises DemonstrationException, and writes nothing, for values that do not fit the behavior.
        """
        pair = AgentInfoActionPairProto()
        info = pair.agent_info
        info.done, info.max_step_reached = bool(done), bool(interrupted)
        try:
            info.reward = float(_finite(reward, "the reward", ()))
            info.action_mask.extend(self._forbidden(mask))
            self._add_observations(pair, obs)
            self._add_action(pair, continuous, discrete)
        except DemonstrationException as error:
            raise DemonstrationException(f"{self._path}: record {self._meta.number_steps}: {error}") from None
        self._file.write(delimited(pair))
        self._file.flush()
        self._meta.number_steps += 1
        self._total += info.reward
        self._ended += info.done
        self._begins = info.done

    def close(self) -> None:
        """Finish the file. Closing twice does nothing."""
        if self._file.closed:
            return
        self._meta.number_episodes = self._ended + 1  # as Unity counts
        self._meta.mean_reward = self._total / self._meta.number_episodes
        first = header(self._meta)
        self._file.write(self._meta.SerializeToString())
        self._file.seek(0)
        self._file.write(first)
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _forbidden(self, mask: ArrayLike | None) -> list[bool]:
        """Return a mask as in a file, True = forbidden; empty where all is allowed."""
        if mask is None:
            return []
        allowed, size = np.asarray(mask, bool), sum(self.spec.action_spec.discrete_branches)
        if allowed.shape != (size,):
            raise DemonstrationException(f"the mask has shape {allowed.shape}; it must be {(size,)}, one per choice")
        return [] if allowed.all() else np.logical_not(allowed).tolist()

    def _add_observations(self, pair: AgentInfoActionPairProto, obs: Sequence[ArrayLike]) -> None:
        sensors = self.spec.observation_specs
        if len(obs) != len(sensors):
            raise DemonstrationException(f"there are observations of {len(obs)} sensors; it must be {len(sensors)}")
        for index, (sensor, column) in enumerate(zip(sensors, obs, strict=True)):
            numbers = _finite(column, f"sensor {index} '{sensor.name}'", sensor.shape)
            observation = pair.agent_info.observations.add(
                name=sensor.name, observation_type=sensor.observation_type.value
            )
            observation.shape.extend(sensor.shape)
            properties = sensor.dimension_property or (DimensionProperty.UNSPECIFIED,) * len(sensor.shape)
            observation.dimension_properties.extend(int(value) for value in properties)
            observation.float_data.data.extend(numbers.ravel().tolist())

    def _add_action(self, pair: AgentInfoActionPairProto, continuous: ArrayLike, discrete: ArrayLike) -> None:
        spec = self.spec.action_spec
        numbers, choices = (
            np.zeros(size) if self._begins and np.size(given) == 0 else given
            for given, size in ((continuous, spec.continuous_size), (discrete, spec.discrete_size))
        )
        led = _finite(numbers, "the continuous action", (spec.continuous_size,))
        chosen = _finite(choices, "the discrete action", (spec.discrete_size,))
        for branch, (choice, size) in enumerate(zip(chosen.tolist(), spec.discrete_branches, strict=True)):
            if choice not in range(size):
                raise DemonstrationException(
                    f"discrete branch {branch} is {choice:g}; it has the choices 0 to {size - 1}"
                )
        pair.action_info.continuous_actions.extend((led * (not self._begins)).tolist())
        pair.action_info.discrete_actions.extend(int(choice) * (not self._begins) for choice in chosen.tolist())


def write(path: str | Path, demonstration: Demonstration, *, overwrite: bool = False) -> None:
    """Write a whole demonstration; images are written uncompressed. Raises as DemonstrationRecorder does."""
    with DemonstrationRecorder(
        path, demonstration.behavior, demonstration.spec, name=demonstration.name, overwrite=overwrite
    ) as recorder:
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


def _finite(given: ArrayLike, name: str, shape: tuple[int, ...]) -> Array:
    """Return float32 numbers; raises DemonstrationException if their shape is another, or one is not finite."""
    with np.errstate(over="ignore"):
        numbers = np.asarray(given, np.float32)
    if numbers.shape != shape:
        raise DemonstrationException(f"{name} has shape {numbers.shape}; it must be {shape}")
    if (at := unusable(numbers)) is not None:
        raise DemonstrationException(f"{name} holds {numbers[at]:g}; it must be finite and within {LARGEST:g}")
    return numbers
