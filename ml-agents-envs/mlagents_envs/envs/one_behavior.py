"""A scene whose behaviors see and do the same, as an environment with one behavior."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mlagents_envs.base_env import (
    ActionTuple,
    Array,
    BaseEnv,
    BehaviorMapping,
    BehaviorSpec,
    DecisionSteps,
    TerminalSteps,
)
from mlagents_envs.envs.faces import UnityGymException
from mlagents_envs.examples.example import ExampleEnv


class OneBehavior(BaseEnv):
    """All agents of a scene under the scene's name, as in WallJump, where an agent plays either of two behaviors.

    An agent keeps its id, whatever its behavior. Rows are in the order of the behaviors.
    """

    def __init__(self, env: ExampleEnv) -> None:
        """Take over the scene. Raises UnityGymException where its behaviors differ, or it has teams."""
        teams = {behavior.rpartition("=")[2] for behavior in env.BEHAVIORS}
        if len({str(spec) for spec in env.behavior_specs.values()}) > 1 or len(teams) > 1:
            raise UnityGymException(
                f"{env.NAME}: the behaviors {', '.join(env.BEHAVIORS)} are of several teams, or see or do different "
                "things, so they are not one: name one of them"
            )
        self.behavior = env.NAME
        self._env = env
        self._specs = BehaviorMapping({self.behavior: env.SPEC})

    @property
    def behavior_specs(self) -> Mapping[str, BehaviorSpec]:
        """The one behavior."""
        return self._specs

    def set_seed(self, seed: int) -> None:
        """Seed all random numbers; takes effect at the next reset."""
        self._env.set_seed(seed)

    def reset(self) -> None:
        """Begin new episodes for all agents."""
        self._env.reset()

    def step(self) -> None:
        """Simulate one decision of all agents."""
        self._env.step()

    def close(self) -> None:
        """Close the scene."""
        self._env.close()

    def get_steps(self, behavior_name: str) -> tuple[DecisionSteps, TerminalSteps]:
        """Return the steps of all agents since the last step or reset."""
        self._check(behavior_name)
        both = [self._env.get_steps(name) for name in self._env.BEHAVIORS]
        return _decisions([decision for decision, _ in both]), _ends([terminal for _, terminal in both])

    def set_actions(self, behavior_name: str, action: ActionTuple) -> None:
        """Set the actions of all agents of the last decision steps, in their order."""
        self._check(behavior_name)
        sizes = [len(self._env.get_steps(name)[0]) for name in self._env.BEHAVIORS]
        action = self._env.SPEC.action_spec.validate_action(action, sum(sizes), behavior_name)
        start = 0
        for name, size in zip(self._env.BEHAVIORS, sizes, strict=True):
            rows = slice(start, start + size)
            self._env.set_actions(name, ActionTuple(action.continuous[rows], action.discrete[rows]))
            start += size

    def set_action_for_agent(self, behavior_name: str, agent_id: int, action: ActionTuple) -> None:
        """Set the action of one agent."""
        self._check(behavior_name)
        asking = [name for name in self._env.BEHAVIORS if agent_id in self._env.get_steps(name)[0].agent_id]
        self._env.set_action_for_agent(asking[0] if asking else self._env.BEHAVIORS[0], agent_id, action)

    def _check(self, behavior: str) -> None:
        if behavior != self.behavior:
            raise UnityGymException(f"there is no behavior '{behavior}', but '{self.behavior}', which is all of them")


def _decisions(parts: Sequence[DecisionSteps]) -> DecisionSteps:
    masks = [part.action_mask for part in parts if part.action_mask is not None]  # of all parts or of none
    return DecisionSteps(
        _obs(parts), _column(parts, "reward"), _column(parts, "agent_id"),
        [np.concatenate(branch) for branch in zip(*masks, strict=True)] or None, _column(parts, "group_id"),
        _column(parts, "group_reward"),
    )  # fmt: skip


def _ends(parts: Sequence[TerminalSteps]) -> TerminalSteps:
    names = ("reward", "interrupted", "agent_id", "group_id", "group_reward")
    return TerminalSteps(_obs(parts), *(_column(parts, name) for name in names))


def _obs(parts: Sequence[DecisionSteps] | Sequence[TerminalSteps]) -> list[Array]:
    return [np.concatenate(columns) for columns in zip(*(part.obs for part in parts), strict=True)]


def _column(parts: Sequence[DecisionSteps] | Sequence[TerminalSteps], name: str) -> Array:
    return np.concatenate([getattr(part, name) for part in parts])
