"""What all example environments have in common: agents that live one after another in areas, stepped together."""

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
from mlagents_envs.examples.drawing import Drawing, look_of
from mlagents_envs.exception import UnityActionException, UnityEnvironmentException

Array = NDArray[Any]
Sampler = Callable[[int], Array]  # n -> (n,) values
Range = tuple[float, float, float]  # default, smallest and largest value of an environment parameter


class ExampleEnv(BaseEnv):
    """Agents in one flat table: row area * PER_AREA + k is the k-th of its area; n is the number of rows.

    When an episode ends, the next begins in the same step. All agents are asked at every decision, except rows whose
    behavior is NOBODY. A subclass names its behaviors, which all see and do the same kind of things, and simulates one
    decision of all agents at once.
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

    def __init__(self, *, areas: int | None = None, seed: int = 0) -> None:
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
        self._agent = np.zeros(n, np.int32)  # who lives in each row
        self._born = 0  # agents ever born
        self._action: ActionTuple | None = None
        self._rows: dict[str, Array] = {}  # which rows each behavior's decision steps are
        self._decision: dict[str, DecisionSteps] = {}
        self._nobody_ended = {name: TerminalSteps.empty(self.SPEC) for name in self.BEHAVIORS}
        self._terminal = self._nobody_ended

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

    def draw(self, area: int) -> Drawing:
        """Return what an area looks like now, once there was a reset.

        Raises UnityEnvironmentException if the scene cannot be drawn, IndexError if there is no such area.
        """
        if not 0 <= area < self.areas:
            raise IndexError(f"{self.NAME}: there is no area {area}; there are {self.areas}, from 0 on")
        return look_of(self).draw(self, area)

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
        self._agent = self._births(self.n)
        self._terminal = self._nobody_ended
        self._say(obs, np.zeros(self.n, np.float32), np.zeros(self.n, np.float32))

    def step(self) -> None:
        if not self._decision:
            self.reset()
            return
        action = self._action if self._action is not None else self.SPEC.action_spec.empty_action(self.n)
        which, group = self._which.copy(), self._group.copy()  # of those who acted
        obs, reward, done, interrupted, last = self._decide(action)
        group_reward = self._group_reward()
        self._terminal = self._nobody_ended
        if done.any():
            self._terminal = {
                name: self._farewell(
                    np.flatnonzero(done & (which == k)), last, reward, interrupted, group, group_reward
                )
                for k, name in enumerate(self.BEHAVIORS)
            }
            self._agent = self._agent.copy()
            self._agent[done] = self._births(int(done.sum()))
            reward, group_reward = (np.where(done, np.float32(0.0), column) for column in (reward, group_reward))
        self._say(obs, reward, group_reward)

    def get_steps(self, behavior_name: str) -> tuple[DecisionSteps, TerminalSteps]:
        return self._asked(behavior_name), self._terminal[behavior_name]

    def set_actions(self, behavior_name: str, action: ActionTuple) -> None:
        n = len(self._asked(behavior_name))
        self._answer(self._rows[behavior_name], self.SPEC.action_spec._validate_action(action, n, behavior_name))

    def set_action_for_agent(self, behavior_name: str, agent_id: int, action: ActionTuple) -> None:
        asked = self._asked(behavior_name)
        action = self.SPEC.action_spec._validate_action(action, 1, behavior_name)
        row = asked.agent_id_to_index.get(agent_id)
        if row is None:
            raise IndexError(f"{behavior_name}: agent {agent_id} did not ask for an action")
        self._answer(self._rows[behavior_name][row : row + 1], action)

    def close(self) -> None:
        """Nothing to end: all of it lives in this object."""

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

    def _say(self, obs: list[Array], reward: Array, group_reward: Array) -> None:
        """Ask all agents for a decision."""
        allowed, self._action = self._allowed(), None
        for k, name in enumerate(self.BEHAVIORS):
            self._rows[name] = rows = np.flatnonzero(self._which == k)
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

    def _farewell(
        self, rows: Array, last: list[Array], reward: Array, interrupted: Array, group: Array, group_reward: Array
    ) -> TerminalSteps:
        return TerminalSteps(
            [column[rows] for column in last], reward[rows], interrupted[rows], self._agent[rows], group[rows],
            group_reward[rows],
        )  # fmt: skip

    def _answer(self, rows: Array, action: ActionTuple) -> None:
        if self._action is None:
            self._action = self.SPEC.action_spec.empty_action(self.n)
        self._action.continuous[rows] = action.continuous
        self._action.discrete[rows] = action.discrete

    def _births(self, n: int) -> Array:
        self._born += n
        return np.arange(self._born - n, self._born, dtype=np.int32)

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
