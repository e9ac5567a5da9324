"""On-policy memory: flat rows in the order in which they came home."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlagents.data.experience import Experience, PolicyInput
from mlagents.data.groups import Groups, Membership

Agents = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Tick:
    """Rows that came home together; no lane occurs twice."""

    rows: Experience  # n rows
    lane: Tensor  # (n,) int64, the seat of each row's agent
    closes: Tensor  # (n,) bool, the row is the last of its segment; with `membership`, of that of its group
    after: tuple[Tensor, ...]  # one (n, *shape) per sensor: what the agent saw next
    finished: int  # rows of all segments that close here, from their first row on
    membership: Membership | None = None  # where a trainer learns from groups
    agent: Agents | None = None  # (n,) int64, whose rows these are: environment << 32 | id; None: unknown

    def next_input(self) -> PolicyInput:
        """Return what followed each row, with everything allowed, and what was remembered."""
        mask = self.rows.input.mask
        return PolicyInput(self.after, torch.ones_like(mask), self.rows.output.memory)


@dataclass(frozen=True, slots=True)
class Segments:
    """All rows of closed segments, tick after tick."""

    rows: Experience  # n rows
    lane: Tensor  # (n,) int64
    closes: Tensor  # (n,) bool
    after: tuple[Tensor, ...]  # one (number of closing rows, *shape) per sensor: what followed each closing row
    ticks: Tensor  # (T + 1,) int64, where each tick begins; the last entry is n
    groups: Groups | None = None  # where a trainer learns from groups
    agent: Agents | None = None  # (n,) int64, as in `Tick`

    def last_input(self) -> PolicyInput:
        """Return what followed each closing row: what was seen, everything allowed, and what was remembered."""
        memory = self.rows.output.memory[self.closes]
        mask = self.rows.input.mask
        return PolicyInput(self.after, mask.new_ones((len(memory), mask.shape[1])), memory)

    def next_input(self) -> PolicyInput:
        """Return what followed each row: the input of its lane's next row, or `last_input` where it closes."""
        order = torch.argsort(self.lane, stable=True)
        following = torch.empty_like(self.lane)
        following[order] = torch.cat([order[1:], order[:1]])
        closing, last = torch.nonzero(self.closes)[:, 0], self.last_input()
        next_input = self.rows.input[following]
        for mine, theirs in zip(next_input.columns(), last.columns(), strict=True):
            mine[closing] = theirs
        return next_input


class Rollout:
    """The rows that one on-policy update learns from. Rows of open segments wait for the next one.

    With groups, the segment of a group is open until that of every member is, so that a member that ended early is
    learned from together with what its group did then.
    """

    def __init__(self, *, groups: bool = False) -> None:
        """groups: gather the rows of a group together; else each agent is on its own."""
        self.groups = groups
        self.ready = 0  # rows in closed segments
        self._parts: list[Tick] = []  # the open rows of earlier ticks together, then tick after tick
        self._sizes: list[int] = []  # rows of every tick, also of those that lie together
        self._time = 0  # ticks, for agents of whom no membership is told

    def append(self, tick: Tick) -> None:
        """Take the rows of one tick; n is at least 1."""
        if self.groups and tick.membership is None:
            tick = replace(tick, membership=Membership.alone(tick.lane, self._time))
            self._time += 1
        self._parts.append(tick)
        self._sizes.append(len(tick.lane))
        self.ready += tick.finished

    def take(self) -> Segments:
        """Return and forget the rows of closed segments; at least one segment is closed."""
        rows = Experience.concat([part.rows for part in self._parts])
        lane, closes = self._column("lane"), self._column("closes")
        size = torch.tensor(self._sizes, device=lane.device)
        tick = torch.repeat_interleave(torch.arange(len(size), device=lane.device), size)
        membership, agent = self._membership(), self._agent()
        closed = self._closed(lane if membership is None else membership.group, closes)
        groups = None
        if membership is not None:
            mine = rows[closed]
            groups = Groups.of(membership[closed], lane[closed], closes[closed], mine.done, mine.interrupted)
            closes = torch.zeros_like(closes).masked_scatter_(closed, groups.ends)
        after = self._after(closes)
        if closed.all():
            self.clear()
            return Segments(rows, lane, closes, after, _begins(size), groups, agent)
        rest = ~closed
        waiting = None if membership is None else membership[rest]
        waits = Tick(rows[rest], lane[rest], closes[rest], self._after(rest), 0, waiting, _at(agent, rest))
        self.clear()
        self._parts = [waits]
        left = torch.bincount(tick[rest])
        self._sizes = left[left > 0].tolist()
        begins = _begins(torch.bincount(tick[closed], minlength=len(size)))
        return Segments(rows[closed], lane[closed], closes[closed], after, begins, groups, _at(agent, closed))

    def _agent(self) -> Agents | None:
        """Return (n,) whose rows these are, None if that is not known of all."""
        known = [part.agent for part in self._parts if part.agent is not None]
        return np.concatenate(known) if len(known) == len(self._parts) else None

    def _after(self, wanted: Tensor) -> tuple[Tensor, ...]:
        """Return what followed the (n,) rows that are wanted: of images, no others are copied."""
        begins = np.cumsum([0, *(len(part.lane) for part in self._parts)])
        concerned = np.flatnonzero(np.logical_or.reduceat(wanted.cpu().numpy(), begins[:-1]))
        found = [
            tuple(column[wanted[begins[turn] : begins[turn + 1]]] for column in self._parts[turn].after)
            for turn in concerned
        ]
        found = found or [tuple(column[:0] for column in self._parts[0].after)]
        return tuple(torch.cat(column) for column in zip(*found, strict=True))

    def close(self, lane: Tensor) -> Tensor:
        """End the segments of these (m,) lanes at their last rows: their agents are gone.

        The last row of each, unless an episode ended there, is marked as interrupted but not done. Returns (m,) bool,
        which of the lanes have rows here. The segment of a group goes on, until `close_groups`.
        """
        if not self._parts:
            return torch.zeros_like(lane, dtype=torch.bool)
        lanes, closes = self._column("lane"), self._column("closes")
        rows = torch.nonzero(torch.isin(lanes, lane))[:, 0]
        last = lanes.new_full((max(int(lanes.max()), int(lane.max())) + 1,), -1)
        last.scatter_reduce_(0, lanes[rows], rows, "amax")
        ends = last[last >= 0]
        gone = torch.zeros_like(closes)
        gone[ends] = True
        sizes = [len(part.lane) for part in self._parts]
        self._parts = [
            replace(part, rows=replace(part.rows, interrupted=part.rows.interrupted | (here & ~part.rows.done)))
            for part, here in zip(self._parts, torch.split(gone, sizes), strict=True)
        ]
        if not self.groups:
            self._close(lanes, closes, gone)
        return last[lane] >= 0

    def close_groups(self, number: Tensor) -> None:
        """End the segments of the groups of these (m,) numbers, as `Membership` has them: no member is left."""
        membership = self._membership() if self._parts else None
        if membership is None:
            return
        rows = torch.nonzero(torch.isin(membership.group, number))[:, 0]
        which = torch.unique(membership.group[rows], return_inverse=True)[1]
        last = rows.new_full((len(rows),), -1).scatter_reduce_(0, which, rows, "amax")
        gone = torch.zeros(len(membership), dtype=torch.bool, device=rows.device)
        gone[last[last >= 0]] = True
        self._close(membership.group, self._column("closes"), gone)

    def _close(self, key: Tensor, closes: Tensor, more: Tensor) -> None:
        """Let segments close at `more` rows too, (n,) bool; key: (n,) int64, what rows of one segment share."""
        before = self._closed(key, closes)
        after = self._closed(key, closes | more)
        self.ready += int((after & ~before).sum())
        sizes = [len(part.lane) for part in self._parts]
        self._parts = [
            replace(part, closes=part.closes | here)
            for part, here in zip(self._parts, torch.split(more, sizes), strict=True)
        ]

    def clear(self) -> None:
        """Forget every row, open segments too."""
        self.ready, self._parts, self._sizes = 0, [], []

    def _column(self, name: str) -> Tensor:
        """Return a column of all ticks."""
        return torch.cat([getattr(part, name) for part in self._parts])

    def _membership(self) -> Membership | None:
        """Return the membership of all rows, None where every agent is on its own."""
        if not self.groups:
            return None
        return Membership.concat([part.membership for part in self._parts if part.membership is not None])

    @staticmethod
    def _closed(key: Tensor, closes: Tensor) -> Tensor:
        """(n,) bool: a row is closed if a segment of its key closes at that row or later."""
        key = torch.unique(key, return_inverse=True)[1]
        place = torch.arange(len(key), device=key.device)
        last = key.new_full((int(key.max()) + 1,), -1)
        last.scatter_reduce_(0, key[closes], place[closes], "amax")
        return place <= last[key]


def _at(agent: Agents | None, rows: Tensor) -> Agents | None:
    return None if agent is None else agent[rows.cpu().numpy()]


def _begins(size: Tensor) -> Tensor:
    """(T + 1,) where each tick begins, of (T,) numbers of rows."""
    return torch.cat([size.new_zeros(1), size.cumsum(0)])
