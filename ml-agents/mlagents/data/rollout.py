"""On-policy memory: flat rows in the order in which they came home."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from mlagents.data.experience import Experience, PolicyInput


@dataclass(frozen=True, slots=True)
class Tick:
    """Rows that came home together; no lane occurs twice."""

    rows: Experience  # n rows
    lane: Tensor  # (n,) int64, the seat of each row's agent
    closes: Tensor  # (n,) bool, the row is the last of its segment
    after: tuple[Tensor, ...]  # one (n, *shape) per sensor: what the agent saw next
    finished: int  # rows of all segments that close here, from their first row on

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
    """The rows that one on-policy update learns from. Rows of open segments wait for the next one."""

    def __init__(self) -> None:
        self.ready = 0  # rows in closed segments
        self._parts: list[Tick] = []  # the open rows of earlier ticks together, then tick after tick
        self._sizes: list[int] = []  # rows of every tick, also of those that lie together

    def append(self, tick: Tick) -> None:
        """Take the rows of one tick; n is at least 1."""
        self._parts.append(tick)
        self._sizes.append(len(tick.lane))
        self.ready += tick.finished

    def take(self) -> Segments:
        """Return and forget the rows of closed segments; at least one segment is closed."""
        rows = Experience.concat([part.rows for part in self._parts])
        lane = torch.cat([part.lane for part in self._parts])
        closes = torch.cat([part.closes for part in self._parts])
        after = self._after(closes)
        size = torch.tensor(self._sizes, device=lane.device)
        tick = torch.repeat_interleave(torch.arange(len(size), device=lane.device), size)
        closed = self._closed(lane, closes)
        if closed.all():
            self.clear()
            return Segments(rows, lane, closes, after, _begins(size))
        rest = ~closed
        waits = Tick(rows[rest], lane[rest], closes[rest], self._after(rest), 0)
        self.clear()
        self._parts = [waits]
        left = torch.bincount(tick[rest])
        self._sizes = left[left > 0].tolist()
        begins = _begins(torch.bincount(tick[closed], minlength=len(size)))
        return Segments(rows[closed], lane[closed], closes[closed], after, begins)

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
        which of the lanes have rows here.
        """
        if not self._parts:
            return torch.zeros_like(lane, dtype=torch.bool)
        lanes = torch.cat([part.lane for part in self._parts])
        closes = torch.cat([part.closes for part in self._parts])
        done = torch.cat([part.rows.done for part in self._parts])
        interrupted = torch.cat([part.rows.interrupted for part in self._parts])
        theirs = torch.isin(lanes, lane)
        opened = int((theirs & ~self._closed(lanes, closes)).sum())
        rows = torch.nonzero(theirs)[:, 0]
        last = lanes.new_full((max(int(lanes.max()), int(lane.max())) + 1,), -1)
        last.scatter_reduce_(0, lanes[rows], rows, "amax")
        ends = last[last >= 0]
        closes[ends] = True
        interrupted[ends] |= ~done[ends]
        sizes = [len(part.lane) for part in self._parts]
        self._parts = [
            replace(part, closes=closing, rows=replace(part.rows, interrupted=cut))
            for part, closing, cut in zip(
                self._parts, torch.split(closes, sizes), torch.split(interrupted, sizes), strict=True
            )
        ]
        self.ready += opened
        return last[lane] >= 0

    def clear(self) -> None:
        """Forget every row, open segments too."""
        self.__init__()  # type: ignore[misc]  # an empty memory is a new memory

    @staticmethod
    def _closed(lane: Tensor, closes: Tensor) -> Tensor:
        """(n,) bool: a row is closed if its lane closes a segment at that row or later."""
        place = torch.arange(len(lane), device=lane.device)
        last = lane.new_full((int(lane.max()) + 1,), -1)
        last.scatter_reduce_(0, lane[closes], place[closes], "amax")
        return place <= last[lane]


def _begins(size: Tensor) -> Tensor:
    """(T + 1,) where each tick begins, of (T,) numbers of rows."""
    return torch.cat([size.new_zeros(1), size.cumsum(0)])
