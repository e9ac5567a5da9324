"""Converts the records of a file to tables, validating every number: a file may be damaged or untrusted."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np

from mlagents_envs.base_env import ActionSpec, ActionTuple, BehaviorSpec
from mlagents_envs.communicator_objects.agent_info_action_pair_pb2 import AgentInfoActionPairProto
from mlagents_envs.communicator_objects.agent_info_pb2 import AgentInfoProto
from mlagents_envs.communicator_objects.brain_parameters_pb2 import BrainParametersProto
from mlagents_envs.demonstrations.channels import Images, channels_of, is_ambiguous, numbers_of, sensor_spec
from mlagents_envs.demonstrations.pairing import Align, pairing_of
from mlagents_envs.demonstrations.table import Array, Demonstration
from mlagents_envs.exception import DemonstrationException, UnityException
from mlagents_envs.finite import LARGEST, unusable
from mlagents_envs.wire.specs import action_spec

log = logging.getLogger(__name__)


class RecordReader:
    """Converts the records of one file into tables, in their order, all at once or in parts.

    The header and the first record decide how the file is read; the decision is logged.
    """

    def __init__(
        self, path: Path, name: str, parameters: BrainParametersProto, first: AgentInfoActionPairProto,
        *, align: Align = "auto", images: Images = "auto", actions: ActionSpec | None = None,
    ) -> None:  # fmt: skip
        """name: of the demonstration; actions: those of the behavior, where the header may lack some.

        Raises DemonstrationException for observations or actions that no behavior can have.
        """
        self._path, self._name, self._behavior = path, name, parameters.brain_name
        self._records = 0  # converted so far
        sensors = first.agent_info.observations
        self._channels = [channels_of(sensor, images) for sensor in sensors]
        self._shapes = [tuple(sensor.shape) for sensor in sensors]  # as they are in the file
        self.spec = spec_of(path, parameters, first, images=images, actions=actions)
        pairing = pairing_of(parameters, first, align)
        self._led_here = pairing.led_here
        self._taken = self.spec.action_spec.empty_action(1)  # from the last record, if the file has these
        log.info(f"{path} is read {pairing.sentence()}.")
        if images == "auto":
            self._warn_of_doubtful(first)

    def table(self, records: Sequence[AgentInfoActionPairProto]) -> Demonstration:
        """Return the next records, of which there is at least one.

        Raises DemonstrationException with the number of the record, counted from 0, and what is wrong in it.
        """
        infos = [record.agent_info for record in records]
        done = np.array([info.done for info in infos])
        table = Demonstration(
            name=self._name,
            behavior=self._behavior,
            spec=self.spec,
            obs=self._observations(infos),
            reward=self._finite(np.array([info.reward for info in infos], np.float32), "its reward"),
            done=done,
            interrupted=np.array([info.max_step_reached for info in infos]),
            mask=self._masks(infos),
            action=self._that_led_here(self._actions(records), done),
        )
        self._records += len(records)
        return table

    def _observations(self, infos: Sequence[AgentInfoProto]) -> tuple[Array, ...]:
        for row, info in enumerate(infos):
            if len(info.observations) != len(self._shapes):
                self._fail(row, f"{len(info.observations)} sensors; the first record has {len(self._shapes)}")
        return tuple(self._column(infos, sensor) for sensor in range(len(self._shapes)))

    def _column(self, infos: Sequence[AgentInfoProto], sensor: int) -> Array:
        """Return the (n, *shape) observations of a sensor."""
        name, shape = self._sensor(sensor), self._shapes[sensor]
        numbers = list[Array]()
        for row, info in enumerate(infos):
            observation = info.observations[sensor]
            if tuple(observation.shape) != shape:
                self._fail(row, f"{name} of shape {tuple(observation.shape)}; the first record's has {shape}")
            try:
                numbers.append(numbers_of(observation, self._channels[sensor]))
            except (UnityException, ValueError) as error:
                self._fail(row, f"{name} of shape {shape} that cannot be read: {error}")
        return self._finite(np.stack(numbers), name)

    def _masks(self, infos: Sequence[AgentInfoProto]) -> Array:
        size = sum(self.spec.action_spec.discrete_branches)
        mask = np.ones((len(infos), size), bool)
        for row, info in enumerate(infos):
            if info.action_mask:
                if len(info.action_mask) != size:
                    self._fail(row, f"a mask of {len(info.action_mask)} choices; its branches have {size} together")
                mask[row] = np.logical_not(info.action_mask)
        return mask

    def _actions(self, records: Sequence[AgentInfoActionPairProto]) -> ActionTuple:
        """Return the actions as they lie in the file; no numbers of a kind stand for zeros."""
        spec = self.spec.action_spec
        continuous = np.zeros((len(records), spec.continuous_size))
        discrete = np.zeros((len(records), spec.discrete_size))
        for row, record in enumerate(records):
            for kind, numbers, column in zip(
                ("continuous", "discrete"), _halves(record, spec), (continuous, discrete), strict=True
            ):
                if len(numbers) not in (0, column.shape[1]):
                    self._fail(row, f"{len(numbers)} {kind} actions; its header has {column.shape[1]}")
                if len(numbers):
                    column[row] = numbers
        for branch, size in enumerate(spec.discrete_branches):
            choice = discrete[:, branch]
            for row in np.flatnonzero(~np.isin(choice, range(size))).tolist():
                self._fail(row, f"{choice[row]:g} in discrete branch {branch}; it has the choices 0 to {size - 1}")
        with np.errstate(over="ignore"):
            shares = self._finite(continuous.astype(np.float32), "a continuous action")
        return ActionTuple(shares, discrete.astype(np.int32))

    def _that_led_here(self, action: ActionTuple, done: Array) -> ActionTuple:
        """Return the action that led to each record; zeros where an episode begins, if the file holds no other."""
        if self._led_here:
            return action
        led, goes_on = [], ~done[:, None]
        for before, column in ((self._taken.continuous, action.continuous), (self._taken.discrete, action.discrete)):
            led.append(np.concatenate([before, column * goes_on.astype(column.dtype)]))
        self._taken = ActionTuple(*(column[-1:] for column in led))
        return ActionTuple(*(column[:-1] for column in led))

    def _finite(self, column: Array, name: str) -> Array:
        if (place := unusable(column)) is not None:
            what = f"{column[place]:g} in {name}; numbers must be finite and within {LARGEST:g}"
            self._fail(place[0], what)
        return column

    def _fail(self, row: int, what: str) -> NoReturn:
        """Raise DemonstrationException. row: of the records that are being read."""
        raise DemonstrationException(f"{self._path}: record {self._records + row} has {what}")

    def _sensor(self, index: int) -> str:
        name = self.spec.observation_specs[index].name
        return f"sensor {index} '{name}'" if name else f"sensor {index}"

    def _warn_of_doubtful(self, first: AgentInfoActionPairProto) -> None:
        """Log which images may be scrambled, since their layout is ambiguous."""
        doubted = [
            f"{self._sensor(i)} of shape {self._shapes[i]}"
            for i, observation in enumerate(first.agent_info.observations)
            if is_ambiguous(observation, self._channels[i])
        ]
        if doubted:
            log.warning(
                f"{self._path}: {', '.join(doubted)} is no PNG, and is read as its shape says. Packages 3.0.0-exp.1 to "
                "4.0.0 of Unity record (height, width, channels) below such a shape: if one of them made this file, "
                "set `images: channels_last`; if not, `images: channels_first` ends this warning."
            )


def spec_of(
    path: Path, parameters: BrainParametersProto, first: AgentInfoActionPairProto, *, images: Images = "auto",
    actions: ActionSpec | None = None,
) -> BehaviorSpec:  # fmt: skip
    """Return what an agent sees and does, by the header and the first record; arguments as of `RecordReader`.

    Raises DemonstrationException for observations or actions that no behavior can have.
    """
    try:
        sensors = [sensor_spec(sensor, channels_of(sensor, images)) for sensor in first.agent_info.observations]
        header_spec = action_spec(parameters)
    except UnityException as error:
        raise DemonstrationException(f"{path}: {error}") from error
    return BehaviorSpec(sensors, _actions_of(first, header_spec, actions))


def _actions_of(first: AgentInfoActionPairProto, header_spec: ActionSpec, actions: ActionSpec | None) -> ActionSpec:
    """Return which actions the records hold.

    A header has the behavior's own actions only; those of actuator components are recorded too, but not described.
    """
    numbers = first.action_info
    sizes = len(numbers.continuous_actions), len(numbers.discrete_actions)
    if actions is None or sizes == (header_spec.continuous_size, header_spec.discrete_size):
        return header_spec
    return actions if sizes == (actions.continuous_size, actions.discrete_size) else header_spec


def _halves(record: AgentInfoActionPairProto, spec: ActionSpec) -> tuple[Sequence[float], Sequence[float]]:
    """Return the continuous and the discrete actions of a record; older ones are in one list."""
    numbers = record.action_info
    if numbers.continuous_actions or numbers.discrete_actions or not numbers.vector_actions_deprecated:
        return numbers.continuous_actions, numbers.discrete_actions
    old = numbers.vector_actions_deprecated
    return (old, ()) if spec.continuous_size else ((), old)
