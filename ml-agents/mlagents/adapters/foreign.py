"""The common part of adapters from other libraries to `BaseEnv`: steps and actions by behavior."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np

from mlagents.adapters.spaces import Array
from mlagents_envs.base_env import (
    ActionTuple,
    BaseEnv,
    BehaviorMapping,
    BehaviorSpec,
    DecisionSteps,
    TerminalSteps,
)
from mlagents_envs.exception import UnityActionException, UnityEnvironmentException

Steps = tuple[DecisionSteps, TerminalSteps]


class Report:
    """The decision and terminal steps of one behavior in one tick, added agent by agent."""

    def __init__(self, spec: BehaviorSpec) -> None:
        self._spec = spec
        self._waiting: list[tuple[int, list[Array], float, Array | None]] = []
        self._ended: list[tuple[int, list[Array], float, bool]] = []

    def add_decision(self, agent: int, obs: list[Array], *, reward: float, forbidden: Array | None) -> None:
        """Add an agent that waits for an action; forbidden: (sum of branch sizes,) bool, None if nothing is."""
        self._waiting.append((agent, obs, reward, forbidden))

    def add_terminal(self, agent: int, obs: list[Array], *, reward: float, interrupted: bool) -> None:
        """Add an agent whose episode ended."""
        self._ended.append((agent, obs, reward, interrupted))

    def steps(self) -> Steps:
        """Return the columns, in the order in which agents were added."""
        decision, terminal = DecisionSteps.empty(self._spec), TerminalSteps.empty(self._spec)
        if self._waiting:
            agent, obs, reward, forbidden = zip(*self._waiting, strict=True)
            columns = (_columns(obs), np.array(reward, np.float32), np.array(agent, np.int32))
            decision = DecisionSteps(*columns, self._masks(forbidden), *_no_groups(len(agent)))
        if self._ended:
            agent, obs, reward, interrupted = zip(*self._ended, strict=True)
            columns = (_columns(obs), np.array(reward, np.float32), np.array(agent, np.int32))
            terminal = TerminalSteps(*columns[:2], np.array(interrupted, bool), columns[2], *_no_groups(len(agent)))
        return decision, terminal

    def _masks(self, forbidden: tuple[Array | None, ...]) -> list[Array] | None:
        branches = self._spec.action_spec.discrete_branches
        if all(row is None for row in forbidden):
            return None
        table = np.stack([np.zeros(sum(branches), bool) if row is None else row for row in forbidden])
        return np.split(table, np.cumsum(branches)[:-1], axis=1)


class ForeignEnv(BaseEnv):
    """A BaseEnv whose subclass resets and steps the environments; this class keeps steps and actions. No groups.

    As in Unity, an agent keeps its id over its episodes and over resets: a step may hold the end of one episode and the
    first decision of the next.

    place: the name of the environment in errors.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self._specs: dict[str, BehaviorSpec] = {}
        self._mapping = BehaviorMapping(self._specs)
        self._steps: dict[str, Steps] | None = None
        self._given_actions: dict[str, ActionTuple] = {}

    # to be overridden

    @abstractmethod
    def set_seed(self, seed: int) -> None:
        """Seed all episodes that begin from the next reset on."""

    @abstractmethod
    def _reset_all(self) -> Mapping[str, Report]:
        """Begin new episodes in all copies, and return their first steps by behavior."""

    @abstractmethod
    def _step_all(self, actions: Mapping[str, ActionTuple]) -> Mapping[str, Report]:
        """Step all copies, and return the next steps. actions: by behavior, in the order of its decision steps."""

    # the low-level API

    @property
    def behavior_specs(self) -> Mapping[str, BehaviorSpec]:
        return self._mapping

    def reset(self) -> None:
        self._set_steps(self._reset_all())

    def step(self) -> None:
        if self._steps is None:
            self.reset()
            return
        waiting = {name: len(decision) for name, (decision, _) in self._steps.items()}
        missing = {
            name: spec.action_spec.empty_action(waiting[name])
            for name, spec in self._specs.items()
            if name not in self._given_actions and name in waiting
        }
        self._set_steps(self._step_all({**self._given_actions, **missing}))

    def get_steps(self, behavior_name: str) -> Steps:
        spec = self._spec_of(behavior_name)
        return self._current_steps().get(behavior_name) or (DecisionSteps.empty(spec), TerminalSteps.empty(spec))

    def set_actions(self, behavior_name: str, action: ActionTuple) -> None:
        spec = self._spec_of(behavior_name).action_spec
        decision, _ = self.get_steps(behavior_name)
        self._given_actions[behavior_name] = spec.validate_action(action, len(decision), behavior_name)

    def set_action_for_agent(self, behavior_name: str, agent_id: int, action: ActionTuple) -> None:
        spec = self._spec_of(behavior_name).action_spec
        action = spec.validate_action(action, 1, behavior_name)
        decision, _ = self.get_steps(behavior_name)
        row = decision.agent_id_to_index.get(agent_id)
        if row is None:
            waiting = decision.agent_id.tolist()
            raise IndexError(f"{behavior_name}: agent {agent_id} does not wait for an action; these do: {waiting}")
        before = self._given_actions.get(behavior_name) or spec.empty_action(len(decision))
        merged = ActionTuple(before.continuous.copy(), before.discrete.copy())
        merged.continuous[row] = action.continuous[0]
        merged.discrete[row] = action.discrete[0]
        self._given_actions[behavior_name] = merged

    # inside

    def _set_steps(self, reports: Mapping[str, Report]) -> None:
        self._steps = {name: report.steps() for name, report in reports.items()}
        self._given_actions = {}

    def _current_steps(self) -> dict[str, Steps]:
        if self._steps is None:
            raise UnityEnvironmentException(f"{self.place} was not reset yet: call reset() first")
        return self._steps

    def _spec_of(self, name: str) -> BehaviorSpec:
        if name not in self._specs:
            known = ", ".join(f"'{known}'" for known in self._specs) or "none before reset()"
            raise UnityActionException(f"{self.place} has no behavior '{name}'; it has {known}")
        return self._specs[name]


def check_copies(copies: int | None, default: int, place: str) -> int:
    """Return how many copies are asked for; raises UnityEnvironmentException for fewer than one."""
    copies = default if copies is None else copies
    if copies < 1:
        raise UnityEnvironmentException(f"{place}: copies is {copies}; there must be at least 1")
    return copies


def _columns(rows: tuple[list[Array], ...]) -> list[Array]:
    return [np.stack(column) for column in zip(*rows, strict=True)]


def _no_groups(n: int) -> tuple[Array, Array]:
    """Return the group ids and group rewards of n agents that are in none."""
    return np.zeros(n, np.int32), np.zeros(n, np.float32)
