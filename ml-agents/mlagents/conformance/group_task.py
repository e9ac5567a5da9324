"""A task for groups: what is right for one of them ends its own episode, and only the others see what came of it."""

from __future__ import annotations

import numpy as np

from mlagents.conformance.tasks import Array, binary_action
from mlagents.envs.steps import StepBatch
from mlagents_envs.base_env import ActionSpec, ActionTuple, BehaviorSpec
from mlagents_envs.examples.example import vector_sensor


class SacrificeEnv:
    """Groups of 2 to SEATS agents, of which one holds a key. In the first step, each may leave or stay.

    Who leaves ends at once and gets nothing; who stays gets TEMPTATION of its own. LENGTH steps later the group of
    those who stayed gets 1, if the one with the key left: so it should, and only it. An agent that learns from what it
    lives to see learns to stay.
    """

    SEATS, LENGTH, TEMPTATION = 4, 3, 0.2
    gamma = 0.9

    def __init__(self, actions: ActionSpec, groups: int, *, seed: int) -> None:
        self.spec = BehaviorSpec([vector_sensor(2, "key"), vector_sensor(1, "time")], actions)
        self.opened: list[float] = []  # of every episode: did the agent with the key leave?
        self.left: list[float] = []  # of every episode: the share of the others that left
        self._rng = np.random.default_rng(seed)
        self._time = np.zeros(groups, np.int64)
        self._plays = np.zeros((groups, self.SEATS), bool)
        self._open = np.zeros(groups, bool)
        self._agent = np.arange(groups * self.SEATS).reshape(groups, self.SEATS)
        self._begin(np.ones(groups, bool))

    def reset(self) -> StepBatch:
        """Return the first steps."""
        none = np.zeros(self._plays.shape, bool)
        return self._steps(none, none.astype(np.float32), np.zeros(len(self._time), np.float32), self._obs())

    def step(self, action: ActionTuple) -> StepBatch:
        """Apply one action per playing agent, in the order of their seats."""
        leaves = np.zeros(self._plays.shape, bool)
        leaves[self._plays] = binary_action(action) == 1
        leaves &= (self._time == 0)[:, None] & self._plays
        first = self._time == 0
        reward = np.where(first[:, None] & self._plays & ~leaves, np.float32(self.TEMPTATION), np.float32(0.0))
        self._open |= leaves[:, 0]
        for group in np.flatnonzero(first):
            self.opened.append(float(leaves[group, 0]))
            self.left.append(float(leaves[group, 1:].sum() / (self._plays[group].sum() - 1)))
        self._time += 1
        over = (self._time == self.LENGTH) | ~(self._plays & ~leaves).any(1)
        ended = self._plays & (leaves | over[:, None])
        shared = np.where(over & self._open & (self._time == self.LENGTH), np.float32(1.0), np.float32(0.0))
        last = self._obs()
        self._plays &= ~ended
        self._begin(over)
        return self._steps(ended, reward, shared, last)

    def _begin(self, groups: Array) -> None:
        """Begin new episodes in these groups, of new sizes."""
        size = self._rng.integers(2, self.SEATS + 1, len(self._time))
        self._plays[groups] = np.arange(self.SEATS) < size[groups, None]
        self._time[groups], self._open[groups] = 0, False

    def _obs(self) -> tuple[Array, Array]:
        """Return (groups, SEATS, size) of each sensor."""
        key = np.zeros((*self._plays.shape, 2), np.float32)
        key[:, 0, 0] = key[:, 1:, 1] = 1.0
        time = np.broadcast_to(self._time[:, None, None] / self.LENGTH, (*self._plays.shape, 1))
        return key, time.astype(np.float32)

    def _steps(self, ended: Array, reward: Array, shared: Array, last: tuple[Array, Array]) -> StepBatch:
        """Return what agents report: those that ended, and those that play on or anew."""
        asking = self._plays
        begins = asking & (self._time == 0)[:, None]
        k, n = int(ended.sum()), int(ended.sum() + asking.sum())
        groups = np.broadcast_to(np.arange(1, len(self._time) + 1)[:, None], ended.shape)
        given = np.broadcast_to(shared[:, None], ended.shape)
        columns = (self._agent, groups)
        agent, group = (np.concatenate([column[ended], column[asking]]) for column in columns)
        return StepBatch(
            agent=agent,
            obs=tuple(np.concatenate([a[ended], b[asking]]) for a, b in zip(last, self._obs(), strict=True)),
            mask=np.ones((n, sum(self.spec.action_spec.discrete_branches)), bool),
            reward=np.concatenate([reward[ended], np.where(begins, np.float32(0.0), reward)[asking]]),
            group=group.astype(np.int64),
            group_reward=np.concatenate([given[ended], np.zeros(n - k, np.float32)]),
            done=np.arange(n) < k,
            interrupted=np.zeros(n, bool),
        )
