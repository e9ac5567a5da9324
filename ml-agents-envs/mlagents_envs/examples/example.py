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
from mlagents_envs.exception import UnityActionException, UnityEnvironmentException

Array = NDArray[Any]
Sampler = Callable[[int], Array]  # n -> (n,) values
Range = tuple[float, float, float]  # default, smallest and largest value of an environment parameter


class ExampleEnv(BaseEnv):
    """One agent per area; n is the number of areas. When an episode ends, the next begins in the same step.

    A subclass names its behavior, says what agents see and do, and simulates one decision of all agents at once.
    """

    NAME: ClassVar[str]
    AREAS: ClassVar[int]  # in Unity's own scene
    SPEC: ClassVar[BehaviorSpec]
    PARAMETERS: ClassVar[Mapping[str, Range]] = {}

    def __init__(self, *, areas: int | None = None, seed: int = 0) -> None:
        self.areas = self.AREAS if areas is None else areas
        self.behavior = f"{self.NAME}?team=0"
        self.parameters: dict[str, float | Sampler] = {
            name: default for name, (default, _, _) in self.PARAMETERS.items()
        }
        self._seed = seed
        self._specs = BehaviorMapping({self.behavior: self.SPEC})
        self._agent = np.zeros(self.areas, np.int32)  # who lives in each area
        self._born = 0  # agents ever born
        self._nobody = np.zeros(self.areas, np.int32)  # group ids: nobody is in a group
        self._nothing = np.zeros(self.areas, np.float32)  # group rewards
        self._action: ActionTuple | None = None
        self._decision: DecisionSteps | None = None
        self._terminal = TerminalSteps.empty(self.SPEC)

    # what a subclass writes

    @abstractmethod
    def _begin(self) -> list[Array]:
        """Begin a new episode in every area and return the observations, one (n, *shape) per sensor."""

    @abstractmethod
    def _decide(self, action: ActionTuple) -> tuple[list[Array], Array, Array, Array, list[Array]]:
        """Simulate one decision of every agent.

        Returns observations (n, *shape) of those who now live, reward (n,) of those who acted, done (n,),
        interrupted (n,), and the last observations of those who acted, of which only rows of done agents count.
        All arrays are the caller's to keep.
        """

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

    def reset(self) -> None:
        obs = self._begin()
        self._agent = self._births(self.areas)
        self._say(obs, self._nothing.copy())
        self._terminal = TerminalSteps.empty(self.SPEC)

    def step(self) -> None:
        if self._decision is None:
            self.reset()
            return
        action = self._action if self._action is not None else self.SPEC.action_spec.empty_action(self.areas)
        obs, reward, done, interrupted, last = self._decide(action)
        ended = np.flatnonzero(done)
        if len(ended):
            self._terminal = TerminalSteps(
                [column[ended] for column in last],
                reward[ended],
                interrupted[ended],
                self._agent[ended],
                self._nobody[ended],
                self._nothing[ended],
            )
            self._agent = self._agent.copy()
            self._agent[ended] = self._births(len(ended))
            reward = np.where(done, np.float32(0.0), reward)
        elif len(self._terminal):
            self._terminal = TerminalSteps.empty(self.SPEC)
        self._say(obs, reward)

    def get_steps(self, behavior_name: str) -> tuple[DecisionSteps, TerminalSteps]:
        self._check_behavior(behavior_name)
        return self._asked(), self._terminal

    def set_actions(self, behavior_name: str, action: ActionTuple) -> None:
        self._check_behavior(behavior_name)
        self._action = self.SPEC.action_spec._validate_action(action, len(self._asked()), behavior_name)

    def set_action_for_agent(self, behavior_name: str, agent_id: int, action: ActionTuple) -> None:
        self._check_behavior(behavior_name)
        action = self.SPEC.action_spec._validate_action(action, 1, behavior_name)
        row = self._asked().agent_id_to_index.get(agent_id)
        if row is None:
            raise IndexError(f"{behavior_name}: agent {agent_id} did not ask for an action")
        if self._action is None:
            self._action = self.SPEC.action_spec.empty_action(self.areas)
        self._action.continuous[row] = action.continuous[0]
        self._action.discrete[row] = action.discrete[0]

    def close(self) -> None:
        """Nothing to end: all of it lives in this object."""

    # inside

    def _say(self, obs: list[Array], reward: Array) -> None:
        self._decision = DecisionSteps(obs, reward, self._agent, None, self._nobody, self._nothing)
        self._action = None

    def _births(self, n: int) -> Array:
        self._born += n
        return np.arange(self._born - n, self._born, dtype=np.int32)

    def _asked(self) -> DecisionSteps:
        if self._decision is None:
            raise UnityEnvironmentException(f"{self.NAME} was not reset yet: call reset() first")
        return self._decision

    def _check_behavior(self, name: str) -> None:
        if name != self.behavior:
            raise UnityActionException(f"{self.NAME} has no behavior '{name}'; it has '{self.behavior}'")


def vector_sensor(size: int, name: str) -> ObservationSpec:
    """Return the specification of a sensor of `size` numbers."""
    return ObservationSpec((size,), (DimensionProperty.NONE,), ObservationType.DEFAULT, name)
