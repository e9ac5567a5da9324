"""Which group each agent plays in, when a group is over, and when the segment of a group closes. numpy only."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mlagents.collect.lanes import FreeLanes
from mlagents.envs.steps import Array, StepBatch

ALONE = 0  # id of an agent without a group


class Numbers:
    """Numbers of which each is given once; several tables share them if one trainer learns from all of them."""

    def __init__(self) -> None:
        self._next = 1

    def take(self, n: int) -> Array:
        """Return (n,) numbers."""
        self._next += n
        return np.arange(self._next - n, self._next)


class GroupRows(NamedTuple):
    """What a group table knows of n rows."""

    number: Array  # (n,) int64, of the episode of the group that each row's agent played in
    closes: Array  # (n,) bool, the segment of that group closes here
    counts: Array  # (n,) bool, the group's reward counts here
    finished: int  # rows of the segments that close here, from their first row on
    begins: Array  # lanes whose next row begins a segment
    freed: Array  # those of them that were held
    earned: Array  # (k,) float32, the rewards of the groups whose episode ended


class Left(NamedTuple):
    """What comes of agents that vanished."""

    over: Array  # (k,) numbers of the groups that are over with them
    freed: Array  # lanes that may be given to others


class GroupTable:
    """The group of each lane. An agent alone is a group of one.

    The episode of a group begins with its first member and ends when none is left; a member that ends and asks anew
    is a new one. A group has a slot, as an agent has a lane. The lane of a member that left is held until the segment
    of its group closes: no other agent has rows in it before those of that member are learned from.
    """

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers
        self._free = FreeLanes()  # slots
        self._slot = np.empty(0, np.int64)  # per lane; -1 for lanes of others
        self._held = np.empty(0, bool)  # per lane
        self._id = np.empty(0, np.int64)  # per slot, as are all below
        self._number = np.empty(0, np.int64)
        self._members = np.empty(0, np.int64)
        self._rows = np.empty(0, np.int64)  # of the open segment
        self._counted = np.empty(0, np.int64)  # until when the group's reward is counted
        self._earned = np.empty(0, np.float32)

    def join(self, lane: Array, group: Array) -> None:
        """Begin the episodes of agents in these (n,) lanes; group: (n,) ids, ALONE for none."""
        if (lanes := int(lane.max(initial=-1)) + 1) > len(self._slot):
            more = lanes - len(self._slot)
            self._slot = np.concatenate([self._slot, np.full(more, -1)])
            self._held = np.concatenate([self._held, np.zeros(more, bool)])
        alone = group == ALONE
        self._slot[lane[alone]] = self._open(group[alone])
        ids, which = np.unique(group[~alone], return_inverse=True)
        self._slot[lane[~alone]] = self._find(ids)[which]
        np.add.at(self._members, self._slot[lane], 1)

    def complete(self, lane: Array, step: StepBatch, asked: Array, now: int, long: Array) -> GroupRows:
        """Take rows that are complete now; members that are done leave their groups.

        lane: (n,), no lane twice; step: of the same agents; asked: (n,) when they were; long: (n,) bool, the agent's
        part of the segment has reached the time horizon.
        """
        slot, done = self._slot[lane], step.done
        number = self._number[slot]
        moved = ~done & (self._id[slot] != step.group)  # to another group, in the middle of an episode
        np.add.at(self._rows, slot, 1)
        if (leaves := done | moved).any():
            np.subtract.at(self._members, slot[leaves], 1)
        over = self._members[slot] == 0
        counts = self._count(slot, asked, now, may=over | ~leaves)
        np.add.at(self._earned, slot[counts], step.group_reward[counts])
        closes, finished = over, 0
        begins = freed = earned = lane[:0]
        if long.any():
            closes = over | np.isin(slot, slot[long])
        if closes.any():
            closing = np.unique(slot[closes])
            finished = int(self._rows[closing].sum())
            self._rows[closing] = 0
            begins = np.flatnonzero(np.isin(self._slot, closing))
            freed = self._release(begins)
            ended = np.unique(slot[over])
            earned = self._earned[ended[self._id[ended] != ALONE]]
            self._free.give_back(ended)
        if moved.any():
            self.join(lane[moved], step.group[moved])
        return GroupRows(number, closes, counts, finished, begins, freed, earned)

    def hold(self, lane: Array) -> Array:
        """Hold the lanes of agents that ended while their groups play on; return those that may be given to others."""
        plays = self._members[self._slot[lane]] > 0
        self._held[lane[plays]] = True
        free: Array = lane[~plays]
        return free

    def leave(self, lane: Array) -> Left:
        """Let the agents of these (n,) lanes vanish."""
        slot = self._slot[lane]
        np.subtract.at(self._members, slot, 1)
        over = np.unique(slot[self._members[slot] == 0])
        self._free.give_back(over)
        self._held[lane] = True
        return Left(self._number[over], self._release(np.flatnonzero(np.isin(self._slot, over))))

    def restart(self, lane: Array) -> None:
        """Let the segments of these lanes' groups begin with their next rows: those before were not taken."""
        self._rows[self._slot[lane]] = 0

    def _release(self, lane: Array) -> Array:
        """Return those of these lanes that were held, and hold them no more."""
        freed: Array = lane[self._held[lane]]
        self._held[freed] = False
        return freed

    def _count(self, slot: Array, asked: Array, now: int, may: Array) -> Array:
        """Return (n,) bool: in which rows the reward of a group counts, of those that may.

        Each member is told what its group was given since its own last row. Of rows that are complete together, the
        one that was asked last has exactly what no earlier one had.
        """
        order = np.lexsort((asked, may, slot))
        last = np.ones(len(slot), bool)
        last[:-1] = slot[order[1:]] != slot[order[:-1]]
        row = order[last]
        row = row[may[row] & (asked[row] >= self._counted[slot[row]])]
        self._counted[slot[row]] = now
        counts = np.zeros(len(slot), bool)
        counts[row] = True
        return counts

    def _find(self, ids: Array) -> Array:
        """Return the (n,) slots of groups, which are opened where no member plays; ids: (n,) ascending."""
        playing = np.flatnonzero((self._members > 0) & (self._id != ALONE))
        playing = playing[np.argsort(self._id[playing])]
        place = np.searchsorted(self._id[playing], ids)
        known = place < len(playing)
        known[known] = self._id[playing[place[known]]] == ids[known]
        found = np.empty(len(ids), np.int64)
        found[known] = playing[place[known]]
        found[~known] = self._open(ids[~known])
        return found

    def _open(self, ids: Array) -> Array:
        """Return (n,) new slots."""
        slot = self._free.take(len(ids))
        if (more := self._free.size - len(self._id)) > 0:
            columns = (self._id, self._number, self._members, self._rows, self._counted, self._earned)
            self._id, self._number, self._members, self._rows, self._counted, self._earned = (
                np.concatenate([column, np.zeros(more, column.dtype)]) for column in columns
            )
        self._id[slot] = ids
        self._number[slot] = self._numbers.take(len(ids))
        for column in (self._members, self._rows, self._counted, self._earned):
            column[slot] = 0
        return slot
