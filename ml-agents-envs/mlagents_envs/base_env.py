"""The low-level API: observations, rewards and actions as columns over agents. n is the number of agents."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum, IntFlag
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlagents_envs.exception import UnityActionException

if TYPE_CHECKING:
    from typing_extensions import Self

AgentId = int
GroupId = int
BehaviorName = str
Array = NDArray[Any]


class DecisionStep(NamedTuple):
    """One agent that requests an action: its observations and rewards."""

    obs: list[Array]  # one array per sensor, without the agents' axis
    reward: float  # since its last decision
    agent_id: AgentId
    action_mask: list[Array] | None  # one (branch size,) bool per branch, True = forbidden
    group_id: GroupId
    group_reward: float


class TerminalStep(NamedTuple):
    """One agent at the end of its episode: its last observations and rewards."""

    obs: list[Array]
    reward: float
    interrupted: bool  # the episode was truncated by a limit, it did not terminate
    agent_id: AgentId
    group_id: GroupId
    group_reward: float


class _Steps(Mapping[AgentId, Any]):
    """Columns of n agents; `steps[agent_id]` is a view of one row, the last one of that agent if it has several."""

    def __init__(self, obs: list[Array], reward: Array, agent_id: Array, group_id: Array, group_reward: Array) -> None:
        self.obs = obs  # one (n, *shape) float32 per sensor
        self.reward = reward  # (n,) float32
        self.agent_id = agent_id  # (n,) int32
        self.group_id = group_id  # (n,) int32, 0 = alone
        self.group_reward = group_reward  # (n,) float32
        self._index: dict[AgentId, int] | None = None

    @property
    def agent_id_to_index(self) -> dict[AgentId, int]:
        """The row of each agent, the last one if it has several."""
        if self._index is None:
            self._index = {agent: row for row, agent in enumerate(self.agent_id.tolist())}
        return self._index

    def __len__(self) -> int:
        return len(self.agent_id)

    def __iter__(self) -> Iterator[AgentId]:
        return iter(self.agent_id.tolist())

    def __eq__(self, other: object) -> bool:
        """Are these the same kind of steps of the same agents, with the same numbers in all columns?"""
        if not isinstance(other, _Steps) or type(self) is not type(other):
            return False
        mine, its = self.compared(), other.compared()
        return len(mine) == len(its) and all(map(np.array_equal, mine, its))

    __hash__ = None  # type: ignore[assignment]

    def compared(self) -> list[Array]:
        """Return the columns that are equal in equal steps: all."""
        return [*self.obs, self.reward, self.agent_id, self.group_id, self.group_reward]

    def _row(self, agent_id: AgentId) -> int:
        row = self.agent_id_to_index.get(agent_id)
        if row is None:
            raise KeyError(f"agent {agent_id} is not among these steps")
        return row


class DecisionSteps(_Steps):
    """Agents that request an action, in the order of the message."""

    def __init__(
        self, obs: list[Array], reward: Array, agent_id: Array, action_mask: list[Array] | None, group_id: Array,
        group_reward: Array, ended: Array | None = None,
    ) -> None:  # fmt: skip
        super().__init__(obs, reward, agent_id, group_id, group_reward)
        self.action_mask = action_mask  # one (n, branch size) bool per branch, True = forbidden
        self.ended = ended
        """(n,) bool, or None where it is true of no agent: the agent's episode ended later in the same message.

        It needs an action like the others, since actions are matched by their order; the action has no effect.
        """

    def __getitem__(self, agent_id: AgentId) -> DecisionStep:
        row = self._row(agent_id)
        return DecisionStep(
            obs=[column[row] for column in self.obs],
            reward=float(self.reward[row]),
            agent_id=agent_id,
            action_mask=None if self.action_mask is None else [branch[row] for branch in self.action_mask],
            group_id=int(self.group_id[row]),
            group_reward=float(self.group_reward[row]),
        )

    def compared(self) -> list[Array]:
        """Return the columns that are equal in equal steps: all, with the masks."""
        return [*super().compared(), *(self.action_mask or ())]

    @staticmethod
    def empty(spec: BehaviorSpec) -> DecisionSteps:
        """Return steps without agents."""
        return DecisionSteps(*_no_agents(spec, None))


class TerminalSteps(_Steps):
    """Agents whose episode ended, in the order of the message; one that ended twice has two rows."""

    def __init__(
        self, obs: list[Array], reward: Array, interrupted: Array, agent_id: Array, group_id: Array,
        group_reward: Array,
    ) -> None:  # fmt: skip
        super().__init__(obs, reward, agent_id, group_id, group_reward)
        self.interrupted = interrupted  # (n,) bool

    def __getitem__(self, agent_id: AgentId) -> TerminalStep:
        row = self._row(agent_id)
        return TerminalStep(
            obs=[column[row] for column in self.obs],
            reward=float(self.reward[row]),
            interrupted=bool(self.interrupted[row]),
            agent_id=agent_id,
            group_id=int(self.group_id[row]),
            group_reward=float(self.group_reward[row]),
        )

    def compared(self) -> list[Array]:
        """Return the columns that are equal in equal steps: all, with the kind of the ends."""
        return [*super().compared(), self.interrupted]

    @staticmethod
    def empty(spec: BehaviorSpec) -> TerminalSteps:
        """Return steps without agents."""
        obs, reward, agent, _, group, group_reward = _no_agents(spec, None)
        return TerminalSteps(obs, reward, np.zeros(0, bool), agent, group, group_reward)


def _no_agents(spec: BehaviorSpec, mask: None) -> tuple[list[Array], Array, Array, None, Array, Array]:
    obs: list[Array] = [np.zeros((0, *sensor.shape), np.float32) for sensor in spec.observation_specs]
    number, identity = np.zeros(0, np.float32), np.zeros(0, np.int32)
    return obs, number, identity, mask, identity.copy(), number.copy()


class _ActionTupleBase(ABC):
    """Continuous and discrete columns of n agents; an absent half has no columns."""

    def __init__(self, continuous: Array | None = None, discrete: Array | None = None) -> None:
        self._continuous: Array | None = None
        self._discrete: Array | None = None
        if continuous is not None:
            self.add_continuous(continuous)
        if discrete is not None:
            self.add_discrete(discrete)

    @property
    @abstractmethod
    def discrete_dtype(self) -> Any:
        """The type of the discrete columns."""

    @property
    def continuous(self) -> Array:
        """(n, size) float32."""
        return self._continuous  # type: ignore[return-value]  # None until one half is added, as the API has it

    @property
    def discrete(self) -> Array:
        """(n, branches) int32."""
        return self._discrete  # type: ignore[return-value]  # see above

    def add_continuous(self, continuous: Array) -> None:
        """Set the (n, size) continuous half."""
        self._continuous = continuous.astype(np.float32, copy=False)
        if self._discrete is None:
            self._discrete = np.zeros((len(continuous), 0), self.discrete_dtype)

    def add_discrete(self, discrete: Array) -> None:
        """Set the (n, branches) discrete half."""
        self._discrete = discrete.astype(self.discrete_dtype, copy=False)
        if self._continuous is None:
            self._continuous = np.zeros((len(discrete), 0), np.float32)


class ActionTuple(_ActionTupleBase):
    """The actions of n agents: continuous (n, size) float32, discrete (n, branches) int32."""

    @property
    def discrete_dtype(self) -> Any:
        """The type of the discrete columns: int32."""
        return np.int32


class ActionSpec(NamedTuple):
    """The action space of a behavior."""

    continuous_size: int
    discrete_branches: tuple[int, ...]

    def __str__(self) -> str:
        return f"Continuous: {self.continuous_size}, Discrete: {self.discrete_branches}"

    @property
    def discrete_size(self) -> int:
        """The number of branches."""
        return len(self.discrete_branches)

    def is_discrete(self) -> bool:
        """Return whether there are only discrete actions."""
        return self.discrete_size > 0 and self.continuous_size == 0

    def is_continuous(self) -> bool:
        """Return whether there are only continuous actions."""
        return self.discrete_size == 0 and self.continuous_size > 0

    def empty_action(self, n_agents: int) -> ActionTuple:
        """Return zeros for n agents."""
        return ActionTuple(
            np.zeros((n_agents, self.continuous_size), np.float32), np.zeros((n_agents, self.discrete_size), np.int32)
        )

    def random_action(self, n_agents: int) -> ActionTuple:
        """Return uniform actions for n agents, from numpy's global generator as the API has it."""
        continuous = np.random.uniform(-1.0, 1.0, (n_agents, self.continuous_size)).astype(np.float32)
        discrete = np.zeros((n_agents, self.discrete_size), np.int32)
        for branch, size in enumerate(self.discrete_branches):
            discrete[:, branch] = np.random.randint(size, size=n_agents)
        return ActionTuple(continuous, discrete)

    def validate_action(self, actions: ActionTuple, n_agents: int, name: str) -> ActionTuple:
        """Return the actions if they fit n agents of the behavior `name`; raises UnityActionException if not."""
        for kind, got, size in (
            ("continuous", actions.continuous, self.continuous_size),
            ("discrete", actions.discrete, self.discrete_size),
        ):
            if got.shape != (n_agents, size):
                raise UnityActionException(
                    f"{name}: {kind} actions have shape {got.shape}; {n_agents} agents need {(n_agents, size)}"
                )
        return actions

    def _validate_action(self, actions: ActionTuple, n_agents: int, name: str) -> ActionTuple:
        """Call `validate_action`, under the name that Unity's own package has."""
        return self.validate_action(actions, n_agents, name)

    @staticmethod
    def create_continuous(continuous_size: int) -> ActionSpec:
        """Return the spec of continuous actions only."""
        return ActionSpec(continuous_size, ())

    @staticmethod
    def create_discrete(discrete_branches: Sequence[int]) -> ActionSpec:
        """Return the spec of discrete actions only, with these branch sizes."""
        return ActionSpec(0, tuple(discrete_branches))

    @staticmethod
    def create_hybrid(continuous_size: int, discrete_branches: Sequence[int]) -> ActionSpec:
        """Return the spec of continuous and discrete actions together."""
        return ActionSpec(continuous_size, tuple(discrete_branches))


class DimensionProperty(IntFlag):
    """What an axis of an observation means."""

    UNSPECIFIED = 0
    NONE = 1
    TRANSLATIONAL_EQUIVARIANCE = 2
    VARIABLE_SIZE = 4


class ObservationType(Enum):
    """What an observation is for."""

    DEFAULT = 0
    GOAL_SIGNAL = 1


class ObservationSpec(NamedTuple):
    """One sensor of a behavior."""

    shape: tuple[int, ...]
    dimension_property: tuple[DimensionProperty, ...]
    observation_type: ObservationType
    name: str


class BehaviorSpec(NamedTuple):
    """The observations and actions of a behavior's agents."""

    observation_specs: list[ObservationSpec]
    action_spec: ActionSpec


class BehaviorMapping(Mapping[BehaviorName, BehaviorSpec]):
    """A read-only view of the behaviors of an environment."""

    def __init__(self, specs: dict[BehaviorName, BehaviorSpec]) -> None:
        self._specs = specs

    def __len__(self) -> int:
        return len(self._specs)

    def __getitem__(self, behavior: BehaviorName) -> BehaviorSpec:
        return self._specs[behavior]

    def __iter__(self) -> Iterator[BehaviorName]:
        return iter(self._specs)


class BaseEnv(ABC):
    """An environment: any number of agents, each of one behavior."""

    @abstractmethod
    def step(self) -> None:
        """Apply the actions and simulate until at least one agent requests an action or ends its episode."""

    @abstractmethod
    def reset(self) -> None:
        """Begin new episodes for all agents."""

    @abstractmethod
    def close(self) -> None:
        """End the environment."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:  # fmt: skip
        self.close()

    @property
    @abstractmethod
    def behavior_specs(self) -> Mapping[BehaviorName, BehaviorSpec]:
        """The behaviors seen so far; may grow."""

    @abstractmethod
    def set_actions(self, behavior_name: BehaviorName, action: ActionTuple) -> None:
        """Set the actions of all agents of the last decision steps, in their order."""

    @abstractmethod
    def set_action_for_agent(self, behavior_name: BehaviorName, agent_id: AgentId, action: ActionTuple) -> None:
        """Set the action of one agent; the arrays have one row."""

    @abstractmethod
    def get_steps(self, behavior_name: BehaviorName) -> tuple[DecisionSteps, TerminalSteps]:
        """Return the steps of a behavior's agents since the last step or reset."""
