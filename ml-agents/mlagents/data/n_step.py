"""Rows wait until what followed them is known, n rows later; then they are transitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from mlagents.data.experience import Experience, PolicyInput
from mlagents.data.frames import Frames
from mlagents.data.replay import Complete, Transition
from mlagents.data.rollout import Tick


class NStepReturns:
    """Holds the newest n rows of each lane until what followed them is known.

    A row leaves when the row n later comes home, whose input says what was seen and allowed there; or sooner, when its
    episode ends or its lane is closed, at the last thing its agent saw.
    """

    def __init__(
        self, n: int, *, gamma: Sequence[float], ignores_done: Sequence[bool], demonstrated: bool = False,
        frames: Frames | None = None, device: torch.device | str = "cpu",
    ) -> None:  # fmt: skip
        """gamma, ignores_done: one per reward signal; one that ignores done counts on beyond a terminated episode.

        frames: of the buffer that rows go to, which keeps their images; None leaves images in the rows.
        """
        self.n = n
        self.frames = frames
        self.demonstrated = demonstrated
        self.gamma = torch.tensor(gamma, device=device)
        self.beyond = torch.tensor(ignores_done, dtype=torch.float32, device=device)
        self._rows: Experience | None = None  # of lane l, slot s at l n + s; known with the first row
        self._last: PolicyInput | None = None  # per lane: what its agent saw last, with everything allowed
        self._waits = torch.zeros(0, n, dtype=torch.bool, device=device)  # (lanes, n)
        self._returns = torch.zeros(0, n, len(gamma), device=device)
        self._discount = torch.zeros(0, n, len(gamma), device=device)
        self._slot = torch.zeros(0, dtype=torch.int64, device=device)  # (lanes,) where the next row goes, the oldest's

    def take(self, tick: Tick, reward: Tensor) -> list[Complete]:
        """Take rows that came home and their (n, S) rewards; return tables of rows that are whole now."""
        lane, n = tick.lane, self.n
        rows = tick.rows if self.frames is None else replace(tick.rows, input=self.frames.put(tick.rows.input))
        held, last = self._hold(rows, tick)
        slot = self._slot[lane]
        complete = self._waits[lane, slot]
        followed = rows.input if complete.all() else rows.input[complete]
        if self.frames is not None:
            self.frames.share(followed)
        whole = self._leave(held, lane[complete], slot[complete], followed, closed=False)
        held[lane * n + slot] = rows
        self._waits[lane, slot] = True
        self._returns[lane, slot] = 0.0
        self._discount[lane, slot] = 1.0
        self._returns[lane] += self._discount[lane] * reward[:, None]
        self._discount[lane] *= self.gamma
        self._slot[lane] = (slot + 1) % n
        last[lane] = tick.next_input()
        self._discount[lane[tick.rows.done & ~tick.rows.interrupted]] *= self.beyond
        return [*whole, *self.close(lane[tick.rows.done])]

    def close(self, lane: Tensor) -> list[Complete]:
        """Return a table of all rows of these (m,) lanes, each lane's oldest first: nothing more will come of them."""
        lane = lane[lane < len(self._waits)]
        if self._rows is None or not len(lane):
            return []
        slots = (self._slot[lane][:, None] + torch.arange(self.n, device=lane.device)) % self.n  # oldest first
        self._slot[lane] = 0  # as when the lane was new: order in the ring must not depend on earlier agents
        which, turn = torch.nonzero(self._waits[lane[:, None], slots], as_tuple=True)
        slot, lane = slots[which, turn], lane[which]
        return self._leave(self._rows, lane, slot, self._last_input(lane), closed=True) if len(lane) else []

    def clear(self) -> list[Complete]:
        """Close every lane."""
        return self.close(torch.arange(len(self._waits), device=self._waits.device))

    def _leave(
        self, held: Experience, lane: Tensor, slot: Tensor, next_input: PolicyInput, *, closed: bool
    ) -> list[Complete]:
        if not len(lane):
            return []
        self._waits[lane, slot] = False
        rows = held[lane * self.n + slot]
        others = torch.full_like(lane, self.demonstrated, dtype=torch.bool)
        found = Transition(rows, next_input, self._returns[lane, slot], self._discount[lane, slot], others)
        return [Complete(found, lane, closed)]

    def _last_input(self, lane: Tensor) -> PolicyInput:
        """Return what the agents of (m,) lanes, of which some may be the same, saw last."""
        assert self._last is not None  # a row waits, so one has come
        if self.frames is None:
            return self._last[lane]
        once, which = torch.unique(lane, return_inverse=True)
        kept = self.frames.put(self._last[once])
        found = kept[which]
        self.frames.share(found)
        self.frames.drop(kept)
        return found

    def _hold(self, rows: Experience, tick: Tick) -> tuple[Experience, PolicyInput]:
        """Return the tables of held rows and of what was seen last, with room for every lane of this tick."""
        lanes, known = int(tick.lane.max()) + 1, len(self._waits)
        if self._rows is not None and self._last is not None and lanes <= known:
            return self._rows, self._last
        lanes = max(lanes, 2 * known)
        held, last = rows.blank(lanes * self.n), tick.next_input().blank(lanes)
        if self._rows is not None and self._last is not None:
            held[: known * self.n] = self._rows
            last[:known] = self._last
        self._waits, self._slot = grown(self._waits, lanes), grown(self._slot, lanes)
        self._returns, self._discount = grown(self._returns, lanes), grown(self._discount, lanes)
        self._rows, self._last = held, last
        return held, last


def grown(column: Tensor, rows: int) -> Tensor:
    """Return the column with zeros after it, `rows` long."""
    return torch.cat([column, column.new_zeros((rows - len(column), *column.shape[1:]))])
