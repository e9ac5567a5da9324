"""The base of all example environments: areas whose agents are stepped together, episode after episode."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mlagents_envs.base_env import (
    ActionTuple,
    BaseEnv,
    BehaviorMapping,
    BehaviorSpec,
    DecisionSteps,
    DimensionProperty,
    ObservationSpec,
    ObservationType,
    TerminalSteps,
)
from mlagents_envs.exception import UnityActionException, UnityEnvironmentException

Array = NDArray[Any]
Sampler = Callable[[int], Array]  # n -> (n,) values
Range = tuple[float, float, float]  # default, smallest and largest value of an environment parameter


class ExampleEnv(BaseEnv):
    """Agents in one flat table: row area * PER_AREA + k is the k-th of its area; n is the number of rows.

    When an episode ends, the next begins in the same step. All agents request a decision in every step; a row whose
    behavior is NO_AGENT has no agent. A subclass names its behaviors, which all have the same spec, and simulates one
    decision of all agents at once.

    As in Unity, an agent gets its id once, from 0 on, and keeps it over its episodes, over `reset` and under another
    behavior: one step often has, under one id, the end of an episode and the first decision step of the next. An agent
    that enters an empty row is new.
    """

    NAME: ClassVar[str]
    AREAS: ClassVar[int]  # in Unity's own scene
    PER_AREA: ClassVar[int] = 1
    SPEC: ClassVar[BehaviorSpec]
    BEHAVIORS: ClassVar[tuple[str, ...]]  # full names; default: the scene's name, team 0
    GROUPED: ClassVar[bool] = False  # do agents share rewards?
    PARAMETERS: ClassVar[Mapping[str, Range]] = {}
    NO_AGENT: ClassVar[int] = -1

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "NAME" in cls.__dict__ and "BEHAVIORS" not in cls.__dict__:
            cls.BEHAVIORS = (f"{cls.NAME}?team=0",)

    def __init__(self, *, areas: int | None = None, seed: int = 0, renew_ids: bool = False) -> None:
        """renew_ids: an agent gets a new id for each episode, as before Unity's package 1.0."""
        self.areas = self.AREAS if areas is None else areas
        self.n = n = self.areas * self.PER_AREA
        self.behavior = self.BEHAVIORS[0]
        self.parameters: dict[str, float | Sampler] = {
            name: default for name, (default, _, _) in self.PARAMETERS.items()
        }
        self._seed = seed
        self._specs = BehaviorMapping(dict.fromkeys(self.BEHAVIORS, self.SPEC))
        self._behavior_index = np.zeros(n, np.int64)  # of each row; may change where an episode begins
        self._group = np.zeros(n, np.int32)  # 0 = alone
        self._renew_ids = renew_ids
        self._agent = np.full(n, self.NO_AGENT, np.int32)  # id of the agent in each row, or NO_AGENT
        self._ids = 0  # ids given so far
        self._action: ActionTuple | None = None
        self._behavior_asked = self._behavior_index.copy()  # as at the last decision request
        self._rows: dict[str, Array] = {}  # which rows each behavior's decision steps are
        self._decision: dict[str, DecisionSteps] = {}
        self._no_terminal = {name: TerminalSteps.empty(self.SPEC) for name in self.BEHAVIORS}
        self._no_rows = dict.fromkeys(self.BEHAVIORS, np.zeros(0, np.int64))
        self._terminal, self._ended = self._no_terminal, self._no_rows

    # implemented by a subclass

    @abstractmethod
    def _begin(self) -> list[Array]:
        """Begin a new episode in every area and return the observations, one (n, *shape) per sensor."""

    @abstractmethod
    def _decide(self, action: ActionTuple) -> tuple[list[Array], Array, Array, Array, list[Array]]:
        """Simulate one decision of every agent; action: n rows, whatever their behavior.

        Returns observations (n, *shape) of the agents now, reward (n,) of those who acted, done (n,),
        interrupted (n,), and the last observations of those who acted, of which only rows of done agents count.
        All arrays are the caller's to keep.
        """

    def _group_reward(self) -> Array:
        """Return the (n,) float32 reward that the group of each agent got for the decision just made."""
        return np.zeros(self.n, np.float32)

    def _allowed(self) -> Array | None:
        """Return which discrete actions may be taken now, (n, sum of branches) bool, or None for all."""
        return None

    @property
    def image_stacks(self) -> Mapping[str, int]:
        """How many frames a sensor has, by its name, for images that are stacks of frames, the oldest first."""
        return {}

    # the low-level API

    @property
    def behavior_specs(self) -> Mapping[str, BehaviorSpec]:
        """All behaviors of the scene."""
        return self._specs

    def set_seed(self, seed: int) -> None:
        """Seed all random numbers; takes effect at the next reset."""
        self._seed = seed

    def set_parameters(self, parameters: Mapping[str, float | Sampler]) -> None:
        """Set environment parameters for the episodes that begin afterwards. As in Unity, unknown names are ignored.

        A sampler is called for new values whenever episodes begin. Raises UnityEnvironmentException for a value with
        which the scene cannot work: here for a number, when it is drawn for a sampler.
        """
        for name, value in parameters.items():
            if name in self.PARAMETERS:
                self.parameters[name] = value if callable(value) else float(self._possible(name, np.array([value]))[0])

    def reset(self) -> None:
        """Begin new episodes for all agents."""
        obs = self._begin()
        self._terminal, self._ended = self._no_terminal, self._no_rows
        self._assign_ids(np.ones(self.n, bool))
        self._request_decisions(obs, np.zeros(self.n, np.float32), np.zeros(self.n, np.float32))

    def step(self) -> None:
        """Simulate one decision of all agents, with zeros for actions that were not set; the first step is a reset."""
        if not self._decision:
            self.reset()
            return
        action = self._action if self._action is not None else self.SPEC.action_spec.empty_action(self.n)
        group = self._group.copy()  # of those who acted
        obs, reward, done, interrupted, last = self._decide(action)
        group_reward = self._group_reward()
        self._terminal, self._ended = self._no_terminal, self._no_rows
        if any_done := bool(done.any()):
            self._end(done, last, reward, interrupted, group, group_reward)
            reward, group_reward = (np.where(done, np.float32(0.0), column) for column in (reward, group_reward))
        if (any_done and self._renew_ids) or not np.array_equal(self._behavior_index, self._behavior_asked):
            self._assign_ids(done)
        self._request_decisions(obs, reward, group_reward)

    def get_steps(self, behavior_name: str) -> tuple[DecisionSteps, TerminalSteps]:
        """Return the steps of a behavior's agents since the last step or reset."""
        return self._decision_steps(behavior_name), self._terminal[behavior_name]

    def set_actions(self, behavior_name: str, action: ActionTuple) -> None:
        """Set the actions of all agents of the last decision steps, in their order."""
        n = len(self._decision_steps(behavior_name))
        self._store_action(self._rows[behavior_name], self.SPEC.action_spec.validate_action(action, n, behavior_name))

    def set_action_for_agent(self, behavior_name: str, agent_id: int, action: ActionTuple) -> None:
        """Set the action of one agent; raises IndexError if it did not request one."""
        decision = self._decision_steps(behavior_name)
        action = self.SPEC.action_spec.validate_action(action, 1, behavior_name)
        row = decision.agent_id_to_index.get(agent_id)
        if row is None:
            raise IndexError(f"{behavior_name}: agent {agent_id} did not request an action")
        self._store_action(self._rows[behavior_name][row : row + 1], action)

    def close(self) -> None:
        """Do nothing: there is no process or file to close."""

    # the table, for observers

    def asking_rows(self, behavior_name: str) -> Array:
        """Return which rows a behavior's decision steps are, in their order; not to be changed."""
        self._decision_steps(behavior_name)
        return self._rows[behavior_name]

    def ended_rows(self, behavior_name: str) -> Array:
        """Return which rows a behavior's terminal steps are, in their order; not to be changed."""
        self._decision_steps(behavior_name)
        return self._ended[behavior_name]

    @property
    def any_ended(self) -> bool:
        """Whether an episode ended at the last step."""
        return self._terminal is not self._no_terminal

    def behavior_of(self, row: int) -> str:
        """Return the full name of the behavior of the agent in a row, empty where there is none."""
        which = int(self._behavior_index[row])
        return "" if which == self.NO_AGENT else self.BEHAVIORS[which]

    # internals

    def _draw(self, name: str, n: int) -> Array:
        """Return (n,) values of an environment parameter."""
        value = self.parameters[name]
        return self._possible(name, value(n)) if callable(value) else np.full(n, value)

    def _possible(self, name: str, values: Array) -> Array:
        _, smallest, largest = self.PARAMETERS[name]
        if (wrong := ~((values >= smallest) & (values <= largest))).any():
            raise UnityEnvironmentException(
                f"{self.NAME}: environment parameter {name} is {values[wrong][0]:g}; "
                f"it must be between {smallest:g} and {largest:g}"
            )
        return values

    def _assign_ids(self, begins: Array) -> None:
        """Update the rows of each behavior and give ids to new agents; begins: (n,) bool, where an episode begins."""
        self._behavior_asked = self._behavior_index.copy()
        present = self._behavior_index != self.NO_AGENT
        agent = np.where(present, self._agent, np.int32(self.NO_AGENT))
        new = present & (agent == self.NO_AGENT)
        if self._renew_ids:
            new |= present & begins
        ids = self._ids + int(new.sum())
        agent[new] = np.arange(self._ids, ids)
        self._agent, self._ids = agent, ids
        self._rows = {name: np.flatnonzero(self._behavior_index == k) for k, name in enumerate(self.BEHAVIORS)}

    def _request_decisions(self, obs: list[Array], reward: Array, group_reward: Array) -> None:
        """Write the decision steps of all agents."""
        allowed, self._action = self._allowed(), None
        for name, rows in self._rows.items():
            everyone = slice(None) if len(rows) == self.n else rows  # avoids a copy of every column
            self._decision[name] = DecisionSteps(
                [column[everyone] for column in obs],
                reward[everyone],
                self._agent[everyone],
                None if allowed is None else self._forbidden(allowed[everyone]),
                self._group[rows],
                group_reward[everyone],
            )

    def _forbidden(self, allowed: Array) -> list[Array]:
        """Return one (n, branch size) bool per branch, True = forbidden, as the API has it."""
        return np.split(~allowed, np.cumsum(self.SPEC.action_spec.discrete_branches)[:-1], axis=1)

    def _end(
        self, done: Array, last: list[Array], reward: Array, interrupted: Array, group: Array, group_reward: Array
    ) -> None:
        """Write the terminal steps of agents that are done, under the behavior in which they acted."""
        self._ended = {name: rows[done[rows]] for name, rows in self._rows.items()}
        self._terminal = {
            name: TerminalSteps(
                [column[rows] for column in last], reward[rows], interrupted[rows], self._agent[rows], group[rows],
                group_reward[rows],
            )
            for name, rows in self._ended.items()
        }  # fmt: skip

    def _store_action(self, rows: Array, action: ActionTuple) -> None:
        if self._action is None:
            self._action = self.SPEC.action_spec.empty_action(self.n)
        self._action.continuous[rows] = action.continuous
        self._action.discrete[rows] = action.discrete

    def _decision_steps(self, behavior: str) -> DecisionSteps:
        if behavior not in self.BEHAVIORS:
            known = "', '".join(self.BEHAVIORS)
            raise UnityActionException(f"{self.NAME} has no behavior '{behavior}'; it has '{known}'")
        if not self._decision:
            raise UnityEnvironmentException(f"{self.NAME} was not reset yet: call reset() first")
        return self._decision[behavior]


def vector_sensor(size: int, name: str) -> ObservationSpec:
    """Return the specification of a sensor of `size` numbers."""
    return ObservationSpec((size,), (DimensionProperty.NONE,), ObservationType.DEFAULT, name)
