"""Policies for example environments from trained models."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from mlagents_envs.base_env import ActionSpec, ActionTuple, BehaviorSpec, DecisionSteps, TerminalSteps
from mlagents_envs.examples.drawing import Array
from mlagents_envs.model import Model
from mlagents_envs.ticks import order_ends


def allowed_choices(decision: DecisionSteps, spec: ActionSpec) -> list[Array]:
    """Return the choices that each agent may take, (n, size) bool per branch."""
    if decision.action_mask is not None:
        return [np.logical_not(forbidden) for forbidden in decision.action_mask]
    return [np.ones((len(decision), size), bool) for size in spec.discrete_branches]


class AgentPolicy(Protocol):
    """Acts for the agents of one behavior in one environment; called at each step, also without decision steps."""

    def reset(self) -> None:
        """Clear all memories: the environment was reset."""

    def __call__(self, decision: DecisionSteps, terminal: TerminalSteps) -> ActionTuple:
        """Return the actions for `decision`. terminal: the episodes that just ended, perhaps of the same agents."""


class ModelPolicy:
    """An `AgentPolicy` of a model in Unity's ONNX format, deterministic where the model has such an output.

    Each agent has its own memory, which is zero where its episode begins.
    """

    def __init__(self, path: Path, spec: BehaviorSpec, *, behavior: str) -> None:
        """behavior: for messages. Raises UnityPolicyException if there is no such file or it does not fit the spec."""
        self._model = Model(path)
        self._spec = spec.action_spec
        self._sensors = len(spec.observation_specs)  # agents may have more after them
        self._model.check_fits(spec, behavior)
        self._initial_memory = np.zeros(self._model.memory_size, np.float32)
        self._memories: dict[int, Array] = {}  # of each agent in its running episode

    def reset(self) -> None:
        """Clear the memories of all agents."""
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
        memory = np.stack([self._memories.get(agent, self._initial_memory) for agent in agents])
        output = self._model.act(
            decision.obs[: self._sensors], allowed_choices(decision, self._spec), memory,
            deterministic=self._model.deterministic,
        )  # fmt: skip
        if self._model.memory_size:
            self._memories.update(zip(agents, output.memory, strict=True))  # agents without a decision keep theirs
        return output.action
