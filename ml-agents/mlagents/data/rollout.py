"""On-policy memory: flat rows in the order in which they came home."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mlagents.data.experience import Experience


@dataclass(frozen=True, slots=True)
class Tick:
    """Rows that came home together; no lane occurs twice."""

    rows: Experience  # n rows
    lane: Tensor  # (n,) int64, the seat of each row's agent
    closes: Tensor  # (n,) bool, the row is the last of its segment
    after: tuple[Tensor, ...]  # one (n, *shape) per sensor: what the agent saw next


@dataclass(frozen=True, slots=True)
class Segments:
    """All rows of closed segments, tick after tick."""

    rows: Experience  # n rows
    lane: Tensor  # (n,) int64
    closes: Tensor  # (n,) bool
    after: tuple[Tensor, ...]  # one (number of closing rows, *shape) per sensor: what followed each closing row
    ticks: Tensor  # (T + 1,) int64, where each tick begins; the last entry is n


class Rollout:
    """The rows that one on-policy update learns from. Rows of open segments wait for the next one."""

    def __init__(self) -> None:
        self.ready = 0  # rows in closed segments
        self._ticks: list[Tick] = []
        self._open = torch.zeros(0, dtype=torch.int64)  # per lane: rows of its open segment

    def append(self, tick: Tick) -> None:
        """Take the rows of one tick; n is at least 1."""
        seats = int(tick.lane.max()) + 1
        if seats > len(self._open):
            self._open = torch.cat([self._open, self._open.new_zeros(seats - len(self._open))])
        self._open[tick.lane] += 1
        after = tick.after
        if tick.closes.any():
            closing = tick.lane[tick.closes]
            self.ready += int(self._open[closing].sum())
            self._open[closing] = 0
            after = tuple(column[tick.closes] for column in after)
        else:
            after = tuple(column[:0] for column in after)
        self._ticks.append(Tick(tick.rows, tick.lane, tick.closes, after))

    def take(self) -> Segments:
        """Return and forget the rows of closed segments; at least one segment is closed."""
        size = torch.tensor([len(tick.lane) for tick in self._ticks])
        everything = Segments(
            rows=Experience.concat([tick.rows for tick in self._ticks]),
            lane=torch.cat([tick.lane for tick in self._ticks]),
            closes=torch.cat([tick.closes for tick in self._ticks]),
            after=tuple(torch.cat(column) for column in zip(*(tick.after for tick in self._ticks), strict=True)),
            ticks=torch.cat([size.new_zeros(1), size.cumsum(0)]),
        )
        closed = self._closed(everything)
        self._keep(everything, ~closed, size)
        self.ready = 0
        if closed.all():
            return everything
        tick = torch.repeat_interleave(torch.arange(len(size)), size)[closed]
        count = torch.bincount(tick, minlength=len(size))
        return Segments(
            everything.rows[closed],
            everything.lane[closed],
            everything.closes[closed],
            everything.after,
            torch.cat([count.new_zeros(1), count.cumsum(0)]),
        )

    def clear(self) -> None:
        """Forget every row, open segments too."""
        self.__init__()  # type: ignore[misc]  # an empty memory is a new memory

    @staticmethod
    def _closed(segments: Segments) -> Tensor:
        """(n,) bool: a row is closed if its lane closes a segment at that row or later."""
        place = torch.arange(len(segments.lane))
        last = torch.full((int(segments.lane.max()) + 1,), -1)
        last.scatter_reduce_(0, segments.lane[segments.closes], place[segments.closes], "amax")
        return place <= last[segments.lane]

    def _keep(self, segments: Segments, open_rows: Tensor, size: Tensor) -> None:
        """Leave only the open rows, in their ticks."""
        nothing = tuple(column[:0] for column in segments.after)
        parts = zip(open_rows.split(size.tolist()), self._ticks, strict=True)
        self._ticks = [
            Tick(tick.rows[keep], tick.lane[keep], tick.closes[keep], nothing) for keep, tick in parts if keep.any()
        ]
