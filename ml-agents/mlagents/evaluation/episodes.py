"""Which episodes count, and what becomes of them.

Agents play side by side, so whoever counts the first N episodes that *end* counts more short ones than there are. Here
the first N that *begin* count, and all of them are played to their end: whether an episode counts is settled before
anything of it is known. One that is too long is cut, and counts with what it has earned until then.
"""

from __future__ import annotations

import numpy as np

from mlagents.collect.lanes import FreeLanes, Lanes
from mlagents.envs.steps import Array, StepBatch, last_of_each
from mlagents.evaluation.result import ALONE

UNCOUNTED = -1  # in the place of an episode's number

COLUMNS = np.dtype([
    ("number", np.int64),  # in the order in which they begin in their environment, or UNCOUNTED
    ("began", np.int64),  # tick
    ("seen", np.int64),  # tick of the agent's last report
    ("agent", np.int64), ("group", np.int64), ("decisions", np.int64), ("reward", np.float64),
    ("group_reward", np.float64), ("interrupted", np.bool_),
    ("cut", np.bool_),  # it took too long; the agent plays it on, but it has been counted
])  # fmt: skip


class Quota:
    """How many episodes of a behavior count in one environment, and how many of them are still to begin or end."""

    def __init__(self, episodes: int) -> None:
        self.episodes = episodes
        self.to_begin = episodes
        self.running = 0
        self.ended = 0
        self._next = 0

    @property
    def complete(self) -> bool:
        """Has every episode that counts ended?"""
        return self.ended == self.episodes

    def begin(self, n: int) -> Array:
        """Return (n,) numbers for episodes that begin now, UNCOUNTED for those that are too many."""
        counted = min(n, self.to_begin)
        numbers = np.full(n, UNCOUNTED)
        numbers[:counted] = np.arange(self._next, self._next + counted)
        self.to_begin -= counted
        self.running += counted
        self._next += counted
        return numbers

    def end(self, n: int) -> None:
        """Count n episodes that ended."""
        self.running -= n
        self.ended += n

    def give_up(self, n: int) -> None:
        """Let other episodes begin in the place of n that will never end."""
        self.running -= n
        self.to_begin += n


class OpenEpisodes:
    """The episodes that run: those of the agents of one team in one environment.

    An agent keeps its id over its episodes, so a tick may hold the end of one and the first question of the next. The
    end belongs to the answer that was given; the question begins anew, and its reward belongs to no answer.
    """

    def __init__(self, memory_size: int, max_length: int) -> None:
        """max_length: decisions after which an episode that counts is cut."""
        self._max_length = max_length
        self._free = FreeLanes()
        self._lanes = Lanes(self._free)
        self._open = np.zeros(0, COLUMNS)  # by lane
        self._memory = np.zeros((0, memory_size), np.float32)
        self._asking = np.zeros(0, np.int64)  # the lanes of those who ask, -1 for whose episode is over already

    def receive(self, step: StepBatch, tick: int, quota: Quota) -> Array:
        """Take what agents report; return the (k,) COLUMNS of the episodes that count and ended."""
        done, asks = step.done, ~step.done
        live = asks if not len(step.stale) else asks & ~step.stale
        live = live & last_of_each(step.agent, live)  # a new array: `asks` stays
        lane = self._lanes.find(step.agent)
        begins = live & (np.isin(step.agent, step.agent[done]) | (lane < 0))
        goes_on = live & ~begins
        self._add(step, np.flatnonzero((lane >= 0) & (done | goes_on)), lane, tick)
        ends = done & (lane >= 0)
        ended = self._open[lane[ends]]
        ended["interrupted"] = step.interrupted[ends]
        ended = np.concatenate([ended[ended["number"] != UNCOUNTED], self._cut(lane[goes_on])])
        quota.end(len(ended))
        if ends.any():
            self._lanes.leave(lane[ends])
        if begins.any():
            lane[begins] = self._begin(step.agent[begins], step.group[begins], tick, quota)
        lane[asks & ~live] = -1
        self._asking = lane[asks]
        return ended

    @property
    def memory(self) -> Array:
        """(n, M) what those who ask remember: zeros where an episode begins."""
        live = self._asking >= 0
        memory = np.zeros((len(live), self._memory.shape[1]), np.float32)
        memory[live] = self._memory[self._asking[live]]
        return memory

    def remember(self, memory: Array) -> None:
        """Keep the (n, M) memory of those who asked until they ask again."""
        live = self._asking >= 0
        self._memory[self._asking[live]] = memory[live]

    def close_silent(self, before: int, quota: Quota) -> int:
        """Forget agents that last reported before a tick; return how many episodes that counted will never end.

        Unity destroys agents, or gives them another behavior, without a message.
        """
        silent = np.flatnonzero(self._seated & (self._open["seen"] < before))
        if not len(silent):
            return 0
        counted = int((self._open["number"][silent] != UNCOUNTED).sum())
        quota.give_up(counted)
        self._lanes.leave(silent)
        return counted

    @property
    def any_cut(self) -> bool:
        """Does an agent play on in an episode that was cut?"""
        return bool((self._seated & self._open["cut"]).any())

    @property
    def _seated(self) -> Array:
        return self._lanes.taken(len(self._open))

    def _cut(self, lane: Array) -> Array:
        """Return the episodes of these lanes that count and have become too long; from now on they do not."""
        running = self._open[lane]
        too_long = lane[(running["decisions"] >= self._max_length) & (running["number"] != UNCOUNTED)]
        self._open["cut"][too_long] = True
        cut: Array = self._open[too_long]
        self._open["number"][too_long] = UNCOUNTED
        return cut

    def _add(self, step: StepBatch, rows: Array, lane: Array, tick: int) -> None:
        """Add what the answers of these rows have earned."""
        at, group = lane[rows], step.group[rows]
        self._open["reward"][at] += step.reward[rows]
        self._open["group_reward"][at] += step.group_reward[rows]
        self._open["decisions"][at] += 1
        self._open["seen"][at] = tick
        self._open["group"][at] = np.where(group == ALONE, self._open["group"][at], group)

    def _begin(self, agent: Array, group: Array, tick: int, quota: Quota) -> Array:
        """Return the (k,) lanes of agents whose episodes begin."""
        lane = self._lanes.seat(agent)
        more = self._free.size - len(self._open)
        if more > 0:
            self._open = np.concatenate([self._open, np.zeros(more, COLUMNS)])
            self._memory = np.concatenate([self._memory, np.zeros((more, self._memory.shape[1]), np.float32)])
        self._open[lane] = np.zeros(1, COLUMNS)
        self._open["agent"][lane], self._open["group"][lane] = agent, group
        self._open["began"][lane] = self._open["seen"][lane] = tick
        self._open["number"][lane] = quota.begin(len(agent))
        self._memory[lane] = 0.0
        return lane
