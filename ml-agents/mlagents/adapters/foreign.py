"""What environments of other libraries have in common as a `BaseEnv`: who asked, who ended, and what was answered."""

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
    """What the agents of one behavior say in a step, gathered one by one: each speaks through an object of its own."""

    def __init__(self, spec: BehaviorSpec) -> None:
        self._spec = spec
        self._asking: list[tuple[int, list[Array], float, Array | None]] = []
        self._ended: list[tuple[int, list[Array], float, bool]] = []

    def asks(self, agent: int, obs: list[Array], *, reward: float, forbidden: Array | None) -> None:
        """Add one that asks for an action; forbidden: (sum of branches,) bool, None if nothing is."""
        self._asking.append((agent, obs, reward, forbidden))

    def ends(self, agent: int, obs: list[Array], *, reward: float, interrupted: bool) -> None:
        """Add one whose episode ended."""
        self._ended.append((agent, obs, reward, interrupted))

    def steps(self) -> Steps:
        """Return the columns, in the order in which agents were added."""
        decision, terminal = DecisionSteps.empty(self._spec), TerminalSteps.empty(self._spec)
        if self._asking:
            agent, obs, reward, forbidden = zip(*self._asking, strict=True)
            columns = (_columns(obs), np.array(reward, np.float32), np.array(agent, np.int32))
            decision = DecisionSteps(*columns, self._masks(forbidden), *_alone(len(agent)))
        if self._ended:
            agent, obs, reward, interrupted = zip(*self._ended, strict=True)
            columns = (_columns(obs), np.array(reward, np.float32), np.array(agent, np.int32))
            terminal = TerminalSteps(*columns[:2], np.array(interrupted, bool), columns[2], *_alone(len(agent)))
        return decision, terminal

    def _masks(self, forbidden: tuple[Array | None, ...]) -> list[Array] | None:
        branches = self._spec.action_spec.discrete_branches
        if all(row is None for row in forbidden):
            return None
        table = np.stack([np.zeros(sum(branches), bool) if row is None else row for row in forbidden])
        return np.split(table, np.cumsum(branches)[:-1], axis=1)


class ForeignEnv(BaseEnv):
    """A subclass begins episodes and plays them; this keeps what was said and answered. Nobody is in a group.

    As in Unity, an agent keeps its id over its episodes and over resets: a step may hold the end of one and the first
    question of the next.

    place: how the environment is called in errors.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self._specs: dict[str, BehaviorSpec] = {}
        self._mapping = BehaviorMapping(self._specs)
        self._steps: dict[str, Steps] | None = None
        self._answers: dict[str, ActionTuple] = {}

    # what a subclass writes

    @abstractmethod
    def set_seed(self, seed: int) -> None:
        """Let the chance of everything that begins from the next reset on follow from this seed."""

    @abstractmethod
    def _begin(self) -> Mapping[str, Report]:
        """Begin new episodes everywhere."""

    @abstractmethod
    def _play(self, answers: Mapping[str, ActionTuple]) -> Mapping[str, Report]:
        """Do what each behavior answers, in the order in which its agents asked."""

    # the low-level API

    @property
    def behavior_specs(self) -> Mapping[str, BehaviorSpec]:
        return self._mapping

    def reset(self) -> None:
        self._hear(self._begin())

    def step(self) -> None:
        if self._steps is None:
            self.reset()
            return
        asked = {name: len(decision) for name, (decision, _) in self._steps.items()}
        unanswered = {
            name: spec.action_spec.empty_action(asked[name])
            for name, spec in self._specs.items()
            if name not in self._answers and name in asked
        }
        self._hear(self._play({**self._answers, **unanswered}))

    def get_steps(self, behavior_name: str) -> Steps:
        spec = self._spec_of(behavior_name)
        return self._said().get(behavior_name) or (DecisionSteps.empty(spec), TerminalSteps.empty(spec))

    def set_actions(self, behavior_name: str, action: ActionTuple) -> None:
        spec = self._spec_of(behavior_name).action_spec
        asked, _ = self.get_steps(behavior_name)
        self._answers[behavior_name] = spec.validate_action(action, len(asked), behavior_name)

    def set_action_for_agent(self, behavior_name: str, agent_id: int, action: ActionTuple) -> None:
        spec = self._spec_of(behavior_name).action_spec
        action = spec.validate_action(action, 1, behavior_name)
        asked, _ = self.get_steps(behavior_name)
        row = asked.agent_id_to_index.get(agent_id)
        if row is None:
            raise IndexError(f"{behavior_name}: agent {agent_id} did not ask for an action")
        before = self._answers.get(behavior_name) or spec.empty_action(len(asked))
        answer = ActionTuple(before.continuous.copy(), before.discrete.copy())
        answer.continuous[row] = action.continuous[0]
        answer.discrete[row] = action.discrete[0]
        self._answers[behavior_name] = answer

    # inside

    def _hear(self, reports: Mapping[str, Report]) -> None:
        self._steps = {name: report.steps() for name, report in reports.items()}
        self._answers = {}

    def _said(self) -> dict[str, Steps]:
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


def _alone(n: int) -> tuple[Array, Array]:
    """Return the group ids and group rewards of n agents that are in none."""
    return np.zeros(n, np.int32), np.zeros(n, np.float32)
