"""What all example environments have in common: agents that play episode after episode in areas, stepped together."""

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

    When an episode ends, the next begins in the same step. All agents are asked at every decision; a row whose behavior
    is NOBODY has no agent. A subclass names its behaviors, which all see and do the same kind of things, and simulates
    one decision of all agents at once.

    As in Unity, an agent gets its id once, from 0 on, and keeps it over its episodes, over `reset` and under another
    behavior: one step often has, under one id, the end of an episode and the first question of the next. Whoever comes
    into a row where nobody was is a new agent.
    """

    NAME: ClassVar[str]
    AREAS: ClassVar[int]  # in Unity's own scene
    PER_AREA: ClassVar[int] = 1
    SPEC: ClassVar[BehaviorSpec]
    BEHAVIORS: ClassVar[tuple[str, ...]]  # full names; one of team 0 with the scene's name, where nothing is said
    GROUPED: ClassVar[bool] = False  # do agents share rewards?
    PARAMETERS: ClassVar[Mapping[str, Range]] = {}
    NOBODY: ClassVar[int] = -1

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
        self._which = np.zeros(n, np.int64)  # index of the behavior of each row; may change where an episode begins
        self._group = np.zeros(n, np.int32)  # 0 = alone
        self._renew_ids = renew_ids
        self._agent = np.full(n, self.NOBODY, np.int32)  # id of the agent in each row, NOBODY where none is
        self._ids = 0  # that were given so far
        self._action: ActionTuple | None = None
        self._asking = self._which.copy()  # `_which` as it was when agents were last asked
        self._rows: dict[str, Array] = {}  # which rows each behavior's decision steps are
        self._decision: dict[str, DecisionSteps] = {}
        self._nobody_ended = {name: TerminalSteps.empty(self.SPEC) for name in self.BEHAVIORS}
        self._no_rows = dict.fromkeys(self.BEHAVIORS, np.zeros(0, np.int64))
        self._terminal, self._ended = self._nobody_ended, self._no_rows

    # what a subclass writes

    @abstractmethod
    def _begin(self) -> list[Array]:
        """Begin a new episode in every area and return the observations, one (n, *shape) per sensor."""

    @abstractmethod
    def _decide(self, action: ActionTuple) -> tuple[list[Array], Array, Array, Array, list[Array]]:
        """Simulate one decision of every agent; action: n rows, whatever their behavior.

        Returns observations (n, *shape) of those who now live, reward (n,) of those who acted, done (n,),
        interrupted (n,), and the last observations of those who acted, of which only rows of done agents count.
        All arrays are the caller's to keep.
        """

    def _group_reward(self) -> Array:
        """Return the (n,) float32 reward that the group of each agent got for the decision just made."""
        return np.zeros(self.n, np.float32)

    def _allowed(self) -> Array | None:
        """Return which discrete actions may be taken now, (n, sum of branches) bool, or None for all."""
        return None

    # the low-level API

    @property
    def behavior_specs(self) -> Mapping[str, BehaviorSpec]:
        return self._specs

    def set_seed(self, seed: int) -> None:
        """Begin every random number anew; the next reset obeys."""
        self._seed = seed

    def set_parameters(self, parameters: Mapping[str, float | Sampler]) -> None:
        """Set environment parameters; episodes that begin afterwards obey. As in Unity, unknown names are ignored.

        A sampler is asked for new values whenever episodes begin. Raises UnityEnvironmentException for a value with
        which the scene cannot work: here for a number, when it is drawn for a sampler.
        """
        for name, value in parameters.items():
            if name in self.PARAMETERS:
                self.parameters[name] = value if callable(value) else float(self._possible(name, np.array([value]))[0])

    def reset(self) -> None:
        obs = self._begin()
        self._terminal, self._ended = self._nobody_ended, self._no_rows
        self._seat(np.ones(self.n, bool))
        self._ask(obs, np.zeros(self.n, np.float32), np.zeros(self.n, np.float32))

    def step(self) -> None:
        if not self._decision:
            self.reset()
            return
        action = self._action if self._action is not None else self.SPEC.action_spec.empty_action(self.n)
        group = self._group.copy()  # of those who acted
        obs, reward, done, interrupted, last = self._decide(action)
        group_reward = self._group_reward()
        self._terminal, self._ended = self._nobody_ended, self._no_rows
        if any_done := bool(done.any()):
            self._end(done, last, reward, interrupted, group, group_reward)
            reward, group_reward = (np.where(done, np.float32(0.0), column) for column in (reward, group_reward))
        if (any_done and self._renew_ids) or not np.array_equal(self._which, self._asking):
            self._seat(done)
        self._ask(obs, reward, group_reward)

    def get_steps(self, behavior_name: str) -> tuple[DecisionSteps, TerminalSteps]:
        return self._asked(behavior_name), self._terminal[behavior_name]

    def set_actions(self, behavior_name: str, action: ActionTuple) -> None:
        n = len(self._asked(behavior_name))
        self._answer(self._rows[behavior_name], self.SPEC.action_spec.validate_action(action, n, behavior_name))

    def set_action_for_agent(self, behavior_name: str, agent_id: int, action: ActionTuple) -> None:
        asked = self._asked(behavior_name)
        action = self.SPEC.action_spec.validate_action(action, 1, behavior_name)
        row = asked.agent_id_to_index.get(agent_id)
        if row is None:
            raise IndexError(f"{behavior_name}: agent {agent_id} did not ask for an action")
        self._answer(self._rows[behavior_name][row : row + 1], action)

    def close(self) -> None:
        """Nothing to end: all of it lives in this object."""

    # the table, for those who watch

    def asking_rows(self, behavior_name: str) -> Array:
        """Return which rows a behavior's decision steps are, in their order; not to be changed."""
        self._asked(behavior_name)
        return self._rows[behavior_name]

    def ended_rows(self, behavior_name: str) -> Array:
        """Return which rows a behavior's terminal steps are, in their order; not to be changed."""
        self._asked(behavior_name)
        return self._ended[behavior_name]

    @property
    def any_ended(self) -> bool:
        """Did an episode end at the last step?"""
        return self._terminal is not self._nobody_ended

    def behavior_of(self, row: int) -> str:
        """Return the full name of the behavior of the agent in a row, empty where nobody is."""
        which = int(self._which[row])
        return "" if which == self.NOBODY else self.BEHAVIORS[which]

    # inside

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

    def _seat(self, begins: Array) -> None:
        """Note who is asked from now on, and give ids to new agents; begins: (n,) bool, where an episode begins."""
        self._asking = self._which.copy()
        lives = self._which != self.NOBODY
        agent = np.where(lives, self._agent, np.int32(self.NOBODY))
        new = lives & (agent == self.NOBODY)
        if self._renew_ids:
            new |= lives & begins
        ids = self._ids + int(new.sum())
        agent[new] = np.arange(self._ids, ids)
        self._agent, self._ids = agent, ids
        self._rows = {name: np.flatnonzero(self._which == k) for k, name in enumerate(self.BEHAVIORS)}

    def _ask(self, obs: list[Array], reward: Array, group_reward: Array) -> None:
        """Ask all agents for a decision."""
        allowed, self._action = self._allowed(), None
        for name, rows in self._rows.items():
            everyone = slice(None) if len(rows) == self.n else rows  # spares a copy of every column
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
        """Let those who are done say their last, under the behavior in which they acted."""
        self._ended = {name: rows[done[rows]] for name, rows in self._rows.items()}
        self._terminal = {
            name: TerminalSteps(
                [column[rows] for column in last], reward[rows], interrupted[rows], self._agent[rows], group[rows],
                group_reward[rows],
            )
            for name, rows in self._ended.items()
        }  # fmt: skip

    def _answer(self, rows: Array, action: ActionTuple) -> None:
        if self._action is None:
            self._action = self.SPEC.action_spec.empty_action(self.n)
        self._action.continuous[rows] = action.continuous
        self._action.discrete[rows] = action.discrete

    def _asked(self, behavior: str) -> DecisionSteps:
        if behavior not in self.BEHAVIORS:
            known = "', '".join(self.BEHAVIORS)
            raise UnityActionException(f"{self.NAME} has no behavior '{behavior}'; it has '{known}'")
        if not self._decision:
            raise UnityEnvironmentException(f"{self.NAME} was not reset yet: call reset() first")
        return self._decision[behavior]


def vector_sensor(size: int, name: str) -> ObservationSpec:
    """Return the specification of a sensor of `size` numbers."""
    return ObservationSpec((size,), (DimensionProperty.NONE,), ObservationType.DEFAULT, name)
