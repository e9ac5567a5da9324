"""Sources of reward: what a row is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from mlagents.data.rollout import Segments


class RewardSignal(Protocol):
    """A source of reward; the critic has one head for each."""

    name: str
    gamma: float
    strength: float
    ignores_done: bool
    """True: the future counts beyond the end of an episode."""

    def evaluate(self, segments: Segments) -> Tensor:
        """Return the (n,) rewards of the rows, before they are multiplied by `strength`."""

    def update(self, segments: Segments) -> Mapping[str, float]:
        """Learn from rows that the policy just made; return what to record."""


@dataclass(frozen=True)
class Extrinsic:
    """What the environment gives: an agent's own reward and its group's."""

    gamma: float
    strength: float
    name: str = "extrinsic"
    ignores_done: bool = False

    def evaluate(self, segments: Segments) -> Tensor:
        return segments.rows.reward + segments.rows.group_reward

    def update(self, segments: Segments) -> Mapping[str, float]:
        return {}
