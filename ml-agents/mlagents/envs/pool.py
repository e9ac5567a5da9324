"""Many environments, stepped as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from mlagents.envs.steps import StepBatch
from mlagents_envs.base_env import ActionTuple, BehaviorSpec

Stat = tuple[float, str]  # a value and how to aggregate it: average, sum, histogram or most recent


class EnvLost(Exception):
    """An environment is gone and its restarts are spent."""


class EnvPool(Protocol):
    """A source of ticks: `recv` says who waits, `send` answers them."""

    specs: Mapping[str, BehaviorSpec]
    """Grows as behaviors show up; keys are `name?team=id`."""

    def reset(self, parameters: Mapping[str, float] | None = None) -> None:
        """Begin new episodes everywhere, under these environment parameters where given."""

    def send(self, actions: Mapping[str, ActionTuple]) -> None:
        """Answer the agents of the last `recv` that were not done, in its order."""

    def recv(self) -> Mapping[str, StepBatch]:
        """Return what any subset of the environments said; raises EnvLost after their restarts are spent."""

    def stats(self) -> Mapping[str, Sequence[Stat]]:
        """Return the numbers that environments reported since the last call."""

    def close(self) -> None:
        """End every environment; calling it twice is fine."""
