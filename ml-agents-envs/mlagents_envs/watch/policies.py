"""The policies of watched agents without a model: idle and random."""

from __future__ import annotations

import numpy as np

from mlagents_envs.base_env import ActionTuple, BehaviorSpec, DecisionSteps, TerminalSteps
from mlagents_envs.examples.policy import allowed_choices


class IdlePolicy:
    """Zero actions, or in a branch where zero is masked the first choice that is not."""

    def __init__(self, spec: BehaviorSpec) -> None:
        self._spec = spec.action_spec

    def reset(self) -> None:
        """Do nothing: it has no memory."""

    def __call__(self, decision: DecisionSteps, terminal: TerminalSteps) -> ActionTuple:
        action = self._spec.empty_action(len(decision))
        for branch, allowed in enumerate(allowed_choices(decision, self._spec)):
            action.discrete[:, branch] = allowed.argmax(axis=1)
        return action


class RandomPolicy:
    """Uniform random actions, without masked choices."""

    def __init__(self, spec: BehaviorSpec, *, seed: int = 0) -> None:
        self._spec = spec.action_spec
        self._rng = np.random.default_rng(seed)

    def reset(self) -> None:
        """Do nothing: it has no memory, and the generator continues."""

    def __call__(self, decision: DecisionSteps, terminal: TerminalSteps) -> ActionTuple:
        action = self._spec.empty_action(len(decision))
        action.continuous[:] = self._rng.uniform(-1, 1, action.continuous.shape)
        for branch, allowed in enumerate(allowed_choices(decision, self._spec)):
            action.discrete[:, branch] = (allowed * self._rng.random(allowed.shape)).argmax(axis=1)
        return action
