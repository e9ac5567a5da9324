"""Trained policies in Unity's ONNX format as functions of observations: ours, and Unity's, of earlier releases too.

Since 2022 a model offers deterministic actions; before, a sample of them; in the beginning, log-probabilities of all
branches side by side, for observations that are joined into one. n is the number of agents.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlagents_envs.base_env import (
    ActionSpec,
    ActionTuple,
    Array,
    BehaviorSpec,
    DecisionSteps,
    DimensionProperty,
    ObservationSpec,
    ObservationType,
)
from mlagents_envs.exception import UnityPolicyException
from mlagents_envs.finite import LARGEST, unusable
from mlagents_envs.onnx_session import brief, open_session, session_errors

JOINED = "vector_observation"  # all observations in one, as the earliest models take them
NEWEST = 3  # version of the format
ANY = -1  # a size that a model leaves open

Obs = Array | Sequence[Array] | Mapping[str, Array] | DecisionSteps


@dataclass(frozen=True)
class ModelOutput:
    """What a model answers. Without the agents' axis (n,) where the observations were given without it."""

    continuous: Array  # (n, C) float32 in [-1, 1]
    discrete: Array  # (n, B) int32, the choice in each branch
    memory: Array  # (n, M) float32, to be given with the agents' next observations; M is 0 without recurrence

    @property
    def action(self) -> ActionTuple:
        """The actions as `BaseEnv.set_actions` takes them, (1, size) for a single agent."""
        return ActionTuple(np.atleast_2d(self.continuous), np.atleast_2d(self.discrete))


class Model:
    """A policy as a function without state: the memory of a recurrent one is given to `act` and returned by it."""

    def __init__(self, path: str | os.PathLike[str], *, seed: int = 0) -> None:
        """seed: of the actions that the model draws.

        Raises UnityPolicyException if there is no such file, or it is no policy in this format.
        """
        self.path = Path(path)
        self._session = open_session(self.path, seed=seed)
        self._inputs: dict[str, list[int]] = {
            node.name: [_size(size) for size in node.shape] for node in self._session.get_inputs()
        }
        self._outputs = {node.name for node in self._session.get_outputs()}
        self._rng = np.random.default_rng(seed)
        sensors = [JOINED] if self.joined else [f"obs_{i}" for i in range(len(self._inputs))]
        self._sensors = [name for name in sensors if name in self._inputs]
        if missing := self._missing():
            raise self._error(f"it is no policy of ML-Agents: {missing}")
        self.spec = BehaviorSpec([self._sensor(name) for name in self._sensors], self._action_spec())
        """What it sees and does; sensors have the names of the model's inputs, and -1 for sizes that are left open."""
        self.memory_size: int = self._inputs.get("recurrent_in", [0])[-1]
        """M, numbers that it remembers of each agent; 0 if it is not recurrent."""

    def __repr__(self) -> str:
        sees = ", ".join(f"{sensor.name} {tuple(sensor.shape)}" for sensor in self.spec.observation_specs)
        remembers = f"; memory {self.memory_size}" if self.memory_size else ""
        return f"<Model {self.path.name}: {sees} -> {self.spec.action_spec}{remembers}>"

    @property
    def joined(self) -> bool:
        """Does it take all observations in one, as the earliest models do?"""
        return JOINED in self._inputs

    @property
    def deterministic(self) -> bool:
        """Can it act without drawing?"""
        return self._early or all(f"deterministic_{kind}_actions" in self._outputs for kind in self._kinds())

    def act(
        self, obs: Obs, mask: Array | Sequence[Array | None] | None = None, memory: Array | None = None, *,
        deterministic: bool = False,
    ) -> ModelOutput:  # fmt: skip
        """Return what agents do.

        obs: one (n, *shape) per sensor, as a sequence or as a mapping in the sensors' order, or the array of the only
        one; for a single agent (*shape). Or the decision steps of a `BaseEnv`, which have the mask too.
        mask: which choices there are, 1 or True = allowed: (n, sum of branches), or a sequence with (n, size) per
        branch; all if None. Models without discrete actions ignore it.
        memory: (n, M) that was returned for these agents, zeros where an episode begins; all zeros if None.
        deterministic: the mean, and the most probable choices, instead of a sample.
        Raises UnityPolicyException for what does not fit.
        """
        if isinstance(obs, DecisionSteps):
            if mask is None and obs.action_mask is not None:
                mask = [np.logical_not(forbidden) for forbidden in obs.action_mask]
            obs = obs.obs
        columns, single = self._columns(obs)
        n = len(columns[0])
        feeds = dict(zip(self._sensors, columns, strict=True))
        if "action_masks" in self._inputs:
            feeds["action_masks"] = self._mask(mask, n, single=single)
        remembered = self._memory(memory, n, single=single)
        if self.memory_size:
            feeds["recurrent_in"] = remembered[:, None]
        action = self._run(feeds, n, deterministic=deterministic)
        rows = (action["continuous"], action["discrete"], action.get("memory", remembered))
        return ModelOutput(*(column[0] for column in rows)) if single else ModelOutput(*rows)

    def check_fits(self, spec: BehaviorSpec, behavior: str) -> None:
        """Raise UnityPolicyException unless agents of a behavior see what the model takes and do what it answers."""
        for mismatch in (self._observation_mismatch(spec), self._action_mismatch(spec.action_spec)):
            if mismatch:
                raise UnityPolicyException(
                    f"{self.path} does not fit {behavior}: {mismatch}; it was trained for another"
                )

    # what the model offers

    def _observation_mismatch(self, spec: BehaviorSpec) -> str:
        """Return how the model's observations differ from the spec, empty if they do not."""
        takes = self.spec.observation_specs
        if self.joined:
            size, there = takes[0].shape[0], flat_size(spec)
            return f"it takes {size} numbers, and there are {there}" if size != there else ""
        if len(takes) != len(spec.observation_specs):
            return f"it takes {len(takes)} observations, and there are {len(spec.observation_specs)}"
        for one, sensor in zip(takes, spec.observation_specs, strict=True):
            if not fits(one.shape, sensor.shape):
                return f"its {one.name} has shape {one.shape}, and '{sensor.name}' has {tuple(sensor.shape)}"
        return ""

    def _action_mismatch(self, spec: ActionSpec) -> str:
        """Return how the model's actions differ from the spec, empty if they do not."""
        takes = self.spec.action_spec
        for kind, its, here in (
            ("continuous", (takes.continuous_size,), (spec.continuous_size,)),
            ("discrete", tuple(takes.discrete_branches), tuple(spec.discrete_branches)),
        ):
            if its != here:
                return f"its {kind} actions are {_sizes(its)}, and the behavior's {_sizes(here)}"
        return ""

    @property
    def _early(self) -> bool:
        return self.joined and "discrete_actions" in self._outputs  # which are log-probabilities then

    def _kinds(self) -> list[str]:
        return [kind for kind in ("continuous", "discrete") if f"{kind}_actions" in self._outputs]

    def _missing(self) -> str:
        """Return what the model lacks of the format, or nothing."""
        if not self._sensors:
            return f"it has no input obs_0, but {', '.join(self._inputs) or 'none'}"
        known = {*self._sensors, "action_masks", "recurrent_in"}
        if strange := sorted(self._inputs.keys() - known):
            return f"nobody knows what its input {strange[0]} takes"
        if not self._kinds():
            return "it has neither an output continuous_actions nor discrete_actions"
        for kind in self._kinds():
            if f"{kind}_action_output_shape" not in self._outputs:
                return f"its output {kind}_actions comes without {kind}_action_output_shape"
        if ("recurrent_in" in self._inputs) != ("recurrent_out" in self._outputs):
            return "it has one of recurrent_in and recurrent_out without the other"
        if self._inputs.get("recurrent_in", [0])[-1] == ANY:
            return "its input recurrent_in does not say how much it remembers"
        return ""

    def _sensor(self, name: str) -> ObservationSpec:
        shape = tuple(self._inputs[name][1:])
        return ObservationSpec(shape, (DimensionProperty.UNSPECIFIED,) * len(shape), ObservationType.DEFAULT, name)

    def _action_spec(self) -> ActionSpec:
        """Return the actions that the model's constants tell; they are computed once, for an agent that sees zeros."""
        feeds = {
            name: np.full([max(1, size) for size in shape], name == "action_masks", np.float32)
            for name, shape in self._inputs.items()
        }
        names = [f"{kind}_action_output_shape" for kind in self._kinds()]
        names += [name for name in ("version_number",) if name in self._outputs]
        constants = dict(zip(names, self._session_run(names, feeds), strict=True))
        if (version := constants.pop("version_number", np.array(NEWEST)).item()) > NEWEST:
            raise self._error(f"its format has the version {version:g}, and the newest that is known is {NEWEST}")
        sizes = {name: [int(size) for size in np.ravel(value) if size] for name, value in constants.items()}
        return ActionSpec(
            sum(sizes.get("continuous_action_output_shape", [])), tuple(sizes.get("discrete_action_output_shape", []))
        )

    # what is given

    def _columns(self, obs: Array | Sequence[Array] | Mapping[str, Array]) -> tuple[list[Array], bool]:
        """Return one (n, *shape) float32 per input, and whether the agents' axis was added."""
        given = list(obs.values()) if isinstance(obs, Mapping) else obs
        alone = _is_array(given) or not any(map(_is_array, given))
        arrays = [self._numbers(column, f"obs {i}") for i, column in enumerate([given] if alone else given)]
        if self.joined:
            arrays = [self._join(arrays)]
        if len(arrays) != len(self._sensors):
            raise self._error(f"{len(arrays)} observations were given; it takes {len(self._sensors)}: {self._takes()}")
        single = arrays[0].ndim == len(self._inputs[self._sensors[0]]) - 1
        if single:
            arrays = [column[None] for column in arrays]
        for i, (name, column) in enumerate(zip(self._sensors, arrays, strict=True)):
            shape = self._inputs[name][1:]
            if not fits(shape, column.shape[1:]):
                was = column.shape[1:] if single else column.shape
                raise self._error(f"obs {i} has shape {was}; it takes {tuple(shape)}, or {('n', *shape)} for n agents")
            if len(column) != len(arrays[0]):
                raise self._error(f"obs 0 is of {len(arrays[0])} agents, and obs {i} of {len(column)}")
        return arrays, single

    def _join(self, arrays: list[Array]) -> Array:
        try:
            joined: Array = np.concatenate(arrays, axis=-1)
        except ValueError as error:
            shapes = [column.shape for column in arrays]
            raise self._error(f"observations of the shapes {shapes} do not join to one") from error
        return joined

    def _mask(self, mask: Any, n: int, *, single: bool) -> Array:
        """Return (n, sum of branches) float32, 1 = allowed."""
        branches = self.spec.action_spec.discrete_branches
        size = sum(branches)
        if mask is None:
            return np.ones((n, size), np.float32)
        if isinstance(mask, (list, tuple)) and any(isinstance(branch, (np.ndarray, tuple)) for branch in mask):
            parts = [part for branch in mask if branch is not None  # gymnasium's of continuous actions is None
                     for part in (branch if isinstance(branch, tuple) else (branch,))]  # fmt: skip
            mask = np.concatenate([np.asarray(part) for part in parts], axis=-1)
        allowed = self._numbers(mask, "mask")
        expected = (size,) if single else (n, size)
        if allowed.shape != expected:
            raise self._error(f"the mask has shape {allowed.shape}; it must be {expected} for branches of {branches}")
        rows: Array = (allowed > 0).astype(np.float32).reshape(n, size)
        start = 0
        for branch, choices in enumerate(branches):
            if n and not rows[:, start : start + choices].any(axis=1).all():
                raise self._error(f"the mask allows no choice in branch {branch}; 1 or True is allowed, not forbidden")
            start += choices
        return rows

    def _memory(self, memory: Array | None, n: int, *, single: bool) -> Array:
        if memory is None:
            return np.zeros((n, self.memory_size), np.float32)
        given = self._numbers(memory, "memory")
        expected = (self.memory_size,) if single else (n, self.memory_size)
        if given.shape != expected:
            raise self._error(f"the memory has shape {given.shape}; it must be {expected}")
        rows: Array = given.reshape(n, self.memory_size)
        return rows

    def _numbers(self, given: Any, what: str) -> Array:
        """Return an array of float32 that a network can use."""
        try:
            column: Array = np.array(given, np.float32, order="C")
        except (TypeError, ValueError) as error:
            raise self._error(f"{what} is no array of numbers ({error}); {self._takes()}") from error
        if (place := unusable(column)) is not None:
            raise self._error(f"{what} holds {column[place]:g} at {place}; it must be finite and within {LARGEST:g}")
        return column

    # what it answers

    def _run(self, feeds: dict[str, Array], n: int, *, deterministic: bool) -> dict[str, Array]:
        """Return columns of n agents: continuous, discrete, and where there is any, memory."""
        spec = self.spec.action_spec
        nothing = spec.empty_action(n)
        action: dict[str, Array] = {"continuous": nothing.continuous, "discrete": nothing.discrete}
        if n == 0:
            return action
        if deterministic and not self.deterministic:
            raise self._error("it offers no deterministic actions, as models before 2022; say deterministic=False")
        first = "deterministic_" if deterministic and not self._early else ""
        names = {kind: f"{first}{kind}_actions" for kind in self._kinds()}
        if self.memory_size:
            names["memory"] = "recurrent_out"
        action.update(zip(names, self._session_run(list(names.values()), feeds), strict=True))
        for kind, column in action.items():
            if not np.isfinite(column).all():
                raise self._error(f"it answers {column[~np.isfinite(column)][0]} as {kind}: its weights are unusable")
        if self._early:
            log_probs = action["discrete"]
            if not deterministic:  # the largest of these sums is as probable as its choice
                log_probs = log_probs + self._rng.gumbel(size=log_probs.shape)
            action["discrete"] = most_probable(log_probs, list(spec.discrete_branches))
        action["continuous"] = np.clip(action["continuous"], -1, 1)  # as Unity does
        action["discrete"] = action["discrete"].astype(np.int32, copy=False)
        if self.memory_size:
            action["memory"] = action["memory"].reshape(n, self.memory_size)
        return action

    def _session_run(self, names: list[str], feeds: dict[str, Array]) -> list[Array]:
        try:
            answers: list[Array] = self._session.run(names, feeds)
        except session_errors() as error:
            raise self._error(f"it cannot be computed ({brief(error)})") from error
        return answers

    def _takes(self) -> str:
        return ", ".join(f"{name} {tuple(self._inputs[name][1:])}" for name in self._sensors)

    def _error(self, sentence: str) -> UnityPolicyException:
        return UnityPolicyException(f"{self.path}: {sentence}")


def most_probable(log_probs: Array, branches: list[int]) -> Array:
    """Return (n, branches) int32 of the largest in each branch of (n, sum of branches)."""
    parts = np.split(log_probs, np.cumsum(branches)[:-1], axis=1)
    return np.stack([part.argmax(axis=1) for part in parts], axis=1).astype(np.int32)


def fits(takes: Sequence[int], shape: Sequence[int]) -> bool:
    """Is this the shape that a model takes, whose sizes may be ANY?"""
    return len(takes) == len(shape) and all(size in (ANY, there) for size, there in zip(takes, shape, strict=True))


def flat_size(spec: BehaviorSpec) -> int:
    """Return how many numbers all sensors see together."""
    return sum(math.prod(sensor.shape) for sensor in spec.observation_specs)


def _sizes(sizes: tuple[int, ...]) -> str:
    return str(sizes) if any(sizes) else "none"


def _is_array(given: Any) -> bool:
    """Is this an array of any library, and no single number?"""
    return hasattr(given, "__array__") and np.ndim(given) > 0


def _size(size: int | str | None) -> int:
    """Return a size for one that may be a name, as that of the batch is."""
    return size if isinstance(size, int) else ANY
