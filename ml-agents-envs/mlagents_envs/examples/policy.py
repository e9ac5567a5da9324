"""Trained models as players of example environments."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from mlagents_envs.base_env import ActionSpec, ActionTuple, BehaviorSpec, DecisionSteps, TerminalSteps
from mlagents_envs.examples.drawing import Array
from mlagents_envs.exception import UnityPolicyException
from mlagents_envs.model import Model, fits, flat_size
from mlagents_envs.ticks import order_ends


def allowed_choices(decision: DecisionSteps, spec: ActionSpec) -> list[Array]:
    """Return which choices each agent has, (n, size) bool per branch."""
    if decision.action_mask is not None:
        return [np.logical_not(forbidden) for forbidden in decision.action_mask]
    return [np.ones((len(decision), size), bool) for size in spec.discrete_branches]


class Player(Protocol):
    """Answers the agents of one behavior in one environment; it is called at each step, also where nobody asks."""

    def reset(self) -> None:
        """All agents begin new episodes: the environment was reset."""

    def __call__(self, decision: DecisionSteps, terminal: TerminalSteps) -> ActionTuple:
        """Return what the agents of `decision` do. terminal: the last episodes that ended, maybe of the same agents."""


class ModelPlayer:
    """A `Player` by a model in Unity's ONNX format, deterministic where the model offers that.

    Each agent has its own memory, which is zero where its episode begins.
    """

    def __init__(self, path: Path, spec: BehaviorSpec, *, behavior: str) -> None:
        """behavior: for sentences. Raises UnityPolicyException if there is no such file or it plays something else."""
        self._model = Model(path)
        self._spec = spec.action_spec
        self._sensors = len(spec.observation_specs)  # agents may have more behind them
        for wrong in (self._wrong_senses(spec), self._wrong_actions(spec.action_spec)):
            if wrong:
                raise UnityPolicyException(f"{path} does not fit {behavior}: {wrong}; it was trained for another one")
        self._nothing_yet = np.zeros(self._model.memory_size, np.float32)
        self._memories: dict[int, Array] = {}  # of each agent in its running episode

    def reset(self) -> None:
        self._memories.clear()

    def __call__(self, decision: DecisionSteps, terminal: TerminalSteps) -> ActionTuple:
        before, after = (terminal.agent_id[rows] for rows in order_ends(decision, terminal))
        self._forget(before)
        action = self._act(decision) if len(decision) else self._spec.empty_action(0)
        self._forget(after)
        return action

    def _forget(self, ended: Array) -> None:
        for agent in ended.tolist():
            self._memories.pop(agent, None)

    def _act(self, decision: DecisionSteps) -> ActionTuple:
        agents = decision.agent_id.tolist()
        memory = np.stack([self._memories.get(agent, self._nothing_yet) for agent in agents])
        output = self._model.act(
            decision.obs[: self._sensors], allowed_choices(decision, self._spec), memory,
            deterministic=self._model.deterministic,
        )  # fmt: skip
        if self._model.memory_size:
            self._memories.update(zip(agents, output.memory, strict=True))  # who is silent keeps its own
        return output.action

    def _wrong_senses(self, spec: BehaviorSpec) -> str:
        """Return in what the model sees something else, or nothing."""
        takes = self._model.spec.observation_specs
        if self._model.joined:
            size, there = takes[0].shape[0], flat_size(spec)
            return f"it takes {size} numbers, and there are {there}" if size != there else ""
        if len(takes) != len(spec.observation_specs):
            return f"it takes {len(takes)} observations, and there are {len(spec.observation_specs)}"
        for one, sensor in zip(takes, spec.observation_specs, strict=True):
            if not fits(one.shape, sensor.shape):
                return f"its {one.name} has shape {one.shape}, and '{sensor.name}' has {tuple(sensor.shape)}"
        return ""

    def _wrong_actions(self, spec: ActionSpec) -> str:
        """Return in what the model does something else, or nothing."""
        does = self._model.spec.action_spec
        for kind, its, here in (
            ("continuous", (does.continuous_size,), (spec.continuous_size,)),
            ("discrete", tuple(does.discrete_branches), tuple(spec.discrete_branches)),
        ):
            if its != here:
                return f"its {kind} actions are {_sizes(its)}, and the scene's {_sizes(here)}"
        return ""


def _sizes(sizes: tuple[int, ...]) -> str:
    return str(sizes) if any(sizes) else "none"
