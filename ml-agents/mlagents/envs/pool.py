"""Many environments, stepped as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from mlagents.envs.steps import StepBatch
from mlagents_envs.base_env import ActionTuple, BaseEnv, BehaviorSpec
from mlagents_envs.exception import UnityException

Stat = tuple[str, float, int]  # a name, a value, and the number of how values are aggregated, as Unity counts them
MakeWorker = Callable[[int], BaseEnv]  # number of a worker -> its environment


class EnvLost(UnityException):
    """An environment is gone and its restarts are spent."""

    def __init__(self, why: str, *, stopped: bool = False) -> None:
        """stopped: the player was closed by whoever watched it, which is no failure."""
        super().__init__(why)
        self.stopped = stopped


class EnvPool(Protocol):
    """A source of ticks: `recv` returns what agents report, `send` answers those that ask.

    Each environment has a number of its own, `env_id`, which its agents carry: `agent >> 32`. One that is started again
    gets another number.
    """

    @property
    def specs(self) -> Mapping[str, BehaviorSpec]:
        """Grows as behaviors show up; keys are `name?team=id`."""

    def reset(self, parameters: Mapping[str, Any] | None = None) -> None:
        """Begin new episodes everywhere; parameters are set before, as by `set_parameters`."""

    def set_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Set environment parameters without a reset: they hold for episodes that begin from the next step on.

        Those that are not named stay. An environment that is started again gets them all.
        """

    def send(self, actions: Mapping[str, ActionTuple]) -> None:
        """Answer the agents of the last `recv` that were not done, in its order."""

    def recv(self) -> Mapping[str, StepBatch]:
        """Return the reports of any subset of the environments; nothing if none reported for a while.

        Raises EnvLost when an environment is gone and its restarts are spent.
        """

    def lost(self) -> Sequence[int]:
        """Return the numbers of the environments that are gone since the last call."""

    def stats(self) -> Sequence[Stat]:
        """Return the numbers that environments reported since the last call."""

    def close(self) -> None:
        """End every environment; calling it twice is fine."""


def behavior_name(team: str) -> str:
    """Return the behavior of `name?team=id`, as a file of settings calls it."""
    return team.partition("?")[0]


def difference(one: BehaviorSpec, other: BehaviorSpec) -> str | None:
    """Return in what agents of two specifications see or do different things, None if in nothing."""
    shapes = [[sensor.shape for sensor in spec.observation_specs] for spec in (one, other)]
    if shapes[0] != shapes[1]:
        return f"their sensors have the shapes {shapes[1]} and {shapes[0]}"
    if one.action_spec != other.action_spec:
        return f"their actions are {other.action_spec} and {one.action_spec}"
    return None
