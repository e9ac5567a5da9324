"""Who plays the agents that are watched, unless it is a model: nobody, or chance."""

from __future__ import annotations

import numpy as np

from mlagents_envs.base_env import ActionTuple, BehaviorSpec, DecisionSteps, TerminalSteps
from mlagents_envs.examples.policy import allowed_choices


class Still:
    """Does nothing: zero everywhere, or in a branch where that is forbidden the first choice that is not."""

    def __init__(self, spec: BehaviorSpec) -> None:
        self._spec = spec.action_spec

    def reset(self) -> None:
        """Nothing is remembered."""

    def __call__(self, decision: DecisionSteps, terminal: TerminalSteps) -> ActionTuple:
        action = self._spec.empty_action(len(decision))
        for branch, allowed in enumerate(allowed_choices(decision, self._spec)):
            action.discrete[:, branch] = allowed.argmax(axis=1)
        return action


class Chance:
    """Plays at random, with what is allowed."""

    def __init__(self, spec: BehaviorSpec, *, seed: int = 0) -> None:
        self._spec = spec.action_spec
        self._chance = np.random.default_rng(seed)

    def reset(self) -> None:
        """Nothing is remembered but the generator, which goes on."""

    def __call__(self, decision: DecisionSteps, terminal: TerminalSteps) -> ActionTuple:
        action = self._spec.empty_action(len(decision))
        action.continuous[:] = self._chance.uniform(-1, 1, action.continuous.shape)
        for branch, allowed in enumerate(allowed_choices(decision, self._spec)):
            action.discrete[:, branch] = (allowed * self._chance.random(allowed.shape)).argmax(axis=1)
        return action
