"""An environment whose agents decide at every n-th step only, as with Unity's Decision Requester."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlagents_envs.base_env import ActionTuple, BaseEnv, BehaviorSpec, DecisionSteps, TerminalSteps
from mlagents_envs.exception import UnityEnvironmentException

Array = NDArray[Any]


class Row(NamedTuple):
    """The action of one agent."""

    continuous: Array  # (size,)
    discrete: Array  # (branches,)


class PacedEnv(BaseEnv):
    """Lets the agents of an environment decide once in `period` steps instead of at every step.

    In between an agent repeats its action. The end of an episode is reported at once, mostly in a step without decision
    steps; until its next decision that agent's action is zero, and its rewards are added to that decision step's.
    """

    def __init__(self, env: BaseEnv, period: int) -> None:
        """Raises UnityEnvironmentException unless the period is at least 1."""
        if period < 1:
            raise UnityEnvironmentException(f"a decision period is {period}; it must be at least 1")
        self._env = env
        self._period = period
        self._clock = 0  # steps since the reset
        self._steps: dict[str, tuple[DecisionSteps, TerminalSteps]] = {}
        self._actions: dict[tuple[str, int], Row] = {}  # by behavior and agent
        self._earned: dict[tuple[str, int], Array] = {}  # reward and group reward since an agent last reported

    @property
    def behavior_specs(self) -> Mapping[str, BehaviorSpec]:
        """The behaviors of the environment."""
        return self._env.behavior_specs

    @property
    def image_stacks(self) -> Mapping[str, int]:
        """The frames of image sensors that are stacks, by name, if the environment has any."""
        stacks: Mapping[str, int] = getattr(self._env, "image_stacks", {})
        return stacks

    def reset(self) -> None:
        """Begin new episodes for all agents."""
        self._env.reset()
        self._clock = 0
        self._actions.clear()
        self._earned.clear()
        self._report()

    def step(self) -> None:
        """Step the environment until agents request actions or an episode ends."""
        while True:
            for name in self.behavior_specs:
                decision, _ = self._env.get_steps(name)
                if len(decision):
                    self._env.set_actions(name, self._repeated(name, decision))
            self._env.step()
            self._clock += 1
            self._report()
            if any(decision or terminal for decision, terminal in self._steps.values()):
                return

    def close(self) -> None:
        """Close the environment."""
        self._env.close()

    def get_steps(self, behavior_name: str) -> tuple[DecisionSteps, TerminalSteps]:
        """Return the steps of a behavior's agents since the last step or reset."""
        return self._steps[behavior_name]

    def set_actions(self, behavior_name: str, action: ActionTuple) -> None:
        """Set the actions of all agents of the last decision steps, in their order."""
        for row, agent in enumerate(self._steps[behavior_name][0]):
            self._actions[behavior_name, agent] = Row(action.continuous[row], action.discrete[row])

    def set_action_for_agent(self, behavior_name: str, agent_id: int, action: ActionTuple) -> None:
        """Set the action of one agent."""
        self._actions[behavior_name, agent_id] = Row(action.continuous[0], action.discrete[0])

    def set_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Set numbers and samplers by name, if the environment has parameters."""
        if callable(set_parameters := getattr(self._env, "set_parameters", None)):
            set_parameters(parameters)

    def stats(self) -> Sequence[tuple[str, float, int]]:
        """Return (name, value, aggregation) of the statistics since the last call, if the environment has any."""
        stats = getattr(self._env, "stats", None)
        measured: Sequence[tuple[str, float, int]] = stats() if callable(stats) else []
        return measured

    def _repeated(self, name: str, decision: DecisionSteps) -> ActionTuple:
        """Return the last action of each agent, zeros for those without a decision in their episode."""
        action = self.behavior_specs[name].action_spec.empty_action(len(decision))
        for row, agent in enumerate(decision):
            if (last := self._actions.get((name, agent))) is not None:
                action.continuous[row], action.discrete[row] = last
        return action

    def _report(self) -> None:
        """Read the environment's steps, and report what is due: ends at once, decision steps once in a period."""
        asks = self._clock % self._period == 0
        for name, spec in self.behavior_specs.items():
            decision, terminal = self._env.get_steps(name)
            reward, group_reward = self._collect(name, terminal, shown=True)
            for agent in terminal:
                self._actions.pop((name, agent), None)
            ended = TerminalSteps(
                terminal.obs, reward, terminal.interrupted, terminal.agent_id, terminal.group_id, group_reward
            )
            reward, group_reward = self._collect(name, decision, shown=asks)
            asking = DecisionSteps(
                decision.obs, reward, decision.agent_id, decision.action_mask, decision.group_id, group_reward
            )
            self._steps[name] = (asking if asks else DecisionSteps.empty(spec), ended)

    def _collect(self, name: str, steps: DecisionSteps | TerminalSteps, *, shown: bool) -> tuple[Array, Array]:
        """Return the rewards and group rewards since each agent's last report; keep what is not shown."""
        both = np.stack([steps.reward, steps.group_reward])
        for row, agent in enumerate(steps):
            both[:, row] += self._earned.pop((name, agent), np.float32(0))
            if not shown:
                self._earned[name, agent] = both[:, row].copy()
        return both[0], both[1]
