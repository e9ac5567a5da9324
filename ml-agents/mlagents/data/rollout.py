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
    finished: int  # rows of all segments that close here, from their first row on


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

    def append(self, tick: Tick) -> None:
        """Take the rows of one tick; n is at least 1."""
        self._ticks.append(tick)
        self.ready += tick.finished

    def take(self) -> Segments:
        """Return and forget the rows of closed segments; at least one segment is closed."""
        size = torch.tensor([len(tick.lane) for tick in self._ticks])
        closes = torch.cat([tick.closes for tick in self._ticks])
        after = zip(*(tick.after for tick in self._ticks), strict=True)
        everything = Segments(
            rows=Experience.concat([tick.rows for tick in self._ticks]),
            lane=torch.cat([tick.lane for tick in self._ticks]),
            closes=closes,
            after=tuple(torch.cat(column)[closes] for column in after),
            ticks=torch.cat([size.new_zeros(1), size.cumsum(0)]),
        )
        closed = self._closed(everything)
        self._keep(~closed, size)
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

    def _keep(self, open_rows: Tensor, size: Tensor) -> None:
        """Leave only the open rows, in their ticks."""
        parts = zip(open_rows.split(size.tolist()), self._ticks, strict=True)
        self._ticks = [
            Tick(tick.rows[keep], tick.lane[keep], tick.closes[keep], tuple(a[keep] for a in tick.after), 0)
            for keep, tick in parts
            if keep.any()
        ]
