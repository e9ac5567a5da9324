"""The data of a demonstration: its records, and the transitions between them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlagents_envs.base_env import ActionTuple, BehaviorSpec

Array = NDArray[Any]


@dataclass(frozen=True)
class Demonstration:
    """Records in the order in which they were made, as Unity makes them whatever the file is; n is their number.

    Record k holds the observation, the reward on arriving there, and the action that LED there, also where `done`. The
    action of the first record, and of the first one after an end, has no meaning. `transitions` pairs them.
    """

    name: str
    behavior: str  # may carry `?team=id`
    spec: BehaviorSpec
    obs: tuple[Array, ...]  # one (n, *shape) float32 per sensor
    reward: Array  # (n,) float32
    done: Array  # (n,) bool
    interrupted: Array  # (n,) bool, the episode was truncated by a limit
    mask: Array  # (n, sum of branches) bool, True = allowed
    action: ActionTuple  # that led to the record

    def __len__(self) -> int:
        return len(self.reward)

    def __getitem__(self, rows: slice) -> Demonstration:
        """Return some of the records."""
        return replace(
            self,
            obs=tuple(column[rows] for column in self.obs),
            reward=self.reward[rows],
            done=self.done[rows],
            interrupted=self.interrupted[rows],
            mask=self.mask[rows],
            action=ActionTuple(self.action.continuous[rows], self.action.discrete[rows]),
        )

    @property
    def episodes(self) -> int:
        """How many episodes ended, and one more if the last is unfinished."""
        return int(self.done.sum()) + int(len(self) > 0 and not self.done[-1])

    def transitions(self) -> Transitions:
        """Return the transition from each record to the next: action, reward and next observation.

        No transition begins at the last record, nor at one that ends an episode.
        """
        record = np.flatnonzero(~self.done[:-1])
        then = record + 1
        return Transitions(
            record=record,
            obs=tuple(column[record] for column in self.obs),
            mask=self.mask[record],
            action=ActionTuple(self.action.continuous[then], self.action.discrete[then]),
            reward=self.reward[then],
            done=self.done[then],
            interrupted=self.interrupted[then] & self.done[then],
            next_obs=tuple(column[then] for column in self.obs),
        )


@dataclass(frozen=True)
class Transitions:
    """Transitions of a demonstration, in order; n is their number."""

    record: Array  # (n,) int, the record at which each begins
    obs: tuple[Array, ...]  # one (n, *shape) float32 per sensor, at that record
    mask: Array  # (n, sum of branches) bool, True = allowed
    action: ActionTuple  # that was taken
    reward: Array  # (n,) float32, for the action
    done: Array  # (n,) bool, it was the episode's last
    interrupted: Array  # (n,) bool, truncated by a limit
    next_obs: tuple[Array, ...]  # one (n, *shape) float32 per sensor, at the next record

    def __len__(self) -> int:
        return len(self.record)


def joined(one: Demonstration, other: Demonstration) -> Demonstration:
    """Return the records of one demonstration followed by those of its continuation."""
    return replace(
        other,
        obs=tuple(np.concatenate(pair) for pair in zip(one.obs, other.obs, strict=True)),
        reward=np.concatenate([one.reward, other.reward]),
        done=np.concatenate([one.done, other.done]),
        interrupted=np.concatenate([one.interrupted, other.interrupted]),
        mask=np.concatenate([one.mask, other.mask]),
        action=ActionTuple(
            np.concatenate([one.action.continuous, other.action.continuous]),
            np.concatenate([one.action.discrete, other.action.discrete]),
        ),
    )
