"""Off-policy memory: rows wait until what followed them is known, then lie in a ring.

S is the number of reward signals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mlagents.data.experience import Actions, Experience, PolicyInput, PolicyOutput
from mlagents.data.rollout import Tick
from mlagents.data.rows import Rows


@dataclass(frozen=True, slots=True)
class Transition(Rows):
    """Experience with what came of it up to n rows later: a value's target is `returns + discount * V(after)`."""

    rows: Experience
    after: tuple[Tensor, ...]  # one (n, *shape) per sensor: what the agent saw then
    after_mask: Tensor  # (n, sum of branch sizes) bool, True = allowed then; all, where nobody was asked any more
    returns: Tensor  # (n, S) float32, rewards until then, discounted and summed
    discount: Tensor  # (n, S) float32, gamma to the number of those rows; 0 if the episode terminated
    demonstrated: Tensor  # (n,) bool, somebody else did this


class NStepReturns:
    """Holds the newest n rows of each lane until what followed them is known.

    A row leaves when the row n later comes home, whose input says what was seen and allowed there; or sooner, when its
    episode ends or its lane is closed, at the last thing its agent saw.
    """

    def __init__(
        self, n: int, *, gamma: Sequence[float], ignores_done: Sequence[bool], demonstrated: bool = False
    ) -> None:
        """gamma, ignores_done: one per reward signal; one that ignores done counts on beyond a terminated episode."""
        self.n = n
        self.demonstrated = demonstrated
        self.gamma = torch.tensor(gamma)
        self.beyond = torch.tensor(ignores_done, dtype=torch.float32)
        self._rows: Experience | None = None  # of lane l, slot s at l n + s; known with the first row
        self._after: tuple[Tensor, ...] = ()  # (lanes, *shape): what each lane's agent saw last
        self._waits = torch.zeros(0, n, dtype=torch.bool)  # (lanes, n)
        self._returns = torch.zeros(0, n, len(gamma))
        self._discount = torch.zeros(0, n, len(gamma))
        self._slot = torch.zeros(0, dtype=torch.int64)  # (lanes,) where the next row goes; the oldest one is there

    def take(self, tick: Tick, reward: Tensor) -> list[Transition]:
        """Take rows that came home and their (n, S) rewards; return tables of rows that are whole now."""
        lane, n = tick.lane, self.n
        held = self._hold(tick)
        slot = self._slot[lane]
        ripe = self._waits[lane, slot]
        followed = tick.rows.input if ripe.all() else tick.rows.input[ripe]
        whole = self._leave(held, lane[ripe], slot[ripe], followed.obs, followed.mask)
        held[lane * n + slot] = tick.rows
        self._waits[lane, slot] = True
        self._returns[lane, slot] = 0.0
        self._discount[lane, slot] = 1.0
        self._returns[lane] += self._discount[lane] * reward[:, None]
        self._discount[lane] *= self.gamma
        self._slot[lane] = (slot + 1) % n
        for mine, seen in zip(self._after, tick.after, strict=True):
            mine[lane] = seen
        self._discount[lane[tick.rows.done & ~tick.rows.interrupted]] *= self.beyond
        return [*whole, *self.close(lane[tick.rows.done])]

    def close(self, lane: Tensor) -> list[Transition]:
        """Return tables of all rows of these (m,) lanes: nothing more will come of them."""
        if self._rows is None:
            return []
        lane = lane[lane < len(self._waits)]
        self._slot[lane] = 0  # as when the lane was new: order in the ring must not depend on who sat there before
        which, slot = torch.nonzero(self._waits[lane], as_tuple=True)
        lane = lane[which]
        everything = torch.ones(len(lane), self._rows.input.mask.shape[1], dtype=torch.bool)
        return self._leave(self._rows, lane, slot, tuple(column[lane] for column in self._after), everything)

    def clear(self) -> list[Transition]:
        """Close every lane."""
        return self.close(torch.arange(len(self._waits)))

    def _leave(
        self, held: Experience, lane: Tensor, slot: Tensor, after: tuple[Tensor, ...], mask: Tensor
    ) -> list[Transition]:
        if not len(lane):
            return []
        self._waits[lane, slot] = False
        rows = held[lane * self.n + slot]
        others = torch.full((len(lane),), self.demonstrated)
        return [Transition(rows, after, mask, self._returns[lane, slot], self._discount[lane, slot], others)]

    def _hold(self, tick: Tick) -> Experience:
        """Return the table of held rows, with room for every lane of this tick."""
        lanes, known = int(tick.lane.max()) + 1, len(self._waits)
        if self._rows is not None and lanes <= known:
            return self._rows
        lanes = max(lanes, 2 * known)
        held = tick.rows.blank(lanes * self.n)
        if self._rows is not None:
            held[: known * self.n] = self._rows
        after = self._after or tuple(column[:0] for column in tick.after)
        self._after = tuple(_grown(column, lanes) for column in after)
        self._waits, self._slot = _grown(self._waits, lanes), _grown(self._slot, lanes)
        self._returns, self._discount = _grown(self._returns, lanes), _grown(self._discount, lanes)
        self._rows = held
        return held


class ReplayBuffer:
    """The newest `capacity` rows, or all of them; sampled uniformly, with replacement."""

    def __init__(self, capacity: int | None) -> None:
        """capacity: None keeps every row."""
        self.capacity = capacity
        self.seen = 0  # rows ever appended
        self._ring: Transition | None = None  # allocated with the first row, when its columns are known

    def __len__(self) -> int:
        return self.seen if self.capacity is None else min(self.seen, self.capacity)

    def append(self, rows: Transition) -> None:
        """Take more rows; of more than `capacity` rows, the newest stay."""
        ring = self._with_room(rows)
        new = rows[-len(ring) :]
        skipped = len(rows) - len(new)
        ring[(self.seen + skipped + torch.arange(len(new))) % len(ring)] = new
        self.seen += len(rows)

    def _with_room(self, rows: Transition) -> Transition:
        """Return the ring; one without a capacity grows to twice what it must hold."""
        needed = self.seen + len(rows)
        if self._ring is None:
            self._ring = rows.blank(2 * needed if self.capacity is None else self.capacity)
        elif self.capacity is None and needed > len(self._ring):
            ring = rows.blank(2 * needed)
            ring[: self.seen] = self._ring[: self.seen]
            self._ring = ring
        return self._ring

    def sample(self, n: int) -> Transition:
        """Return n random rows; raises IndexError if there is none."""
        if self._ring is None or not len(self):
            raise IndexError("the replay buffer is empty")
        return self._ring[torch.randint(len(self), (n,))]

    def clear(self) -> None:
        """Forget every row."""
        self.seen = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the rows, oldest first, as a plain list of columns."""
        if self._ring is None or not len(self):
            return {"seen": 0, "sensors": 0, "columns": []}
        rows = self._ring[torch.arange(self.seen - len(self), self.seen) % len(self._ring)]
        return {"seen": self.seen, "sensors": len(rows.after), "columns": list(rows.columns())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what `state_dict` gave; of more than `capacity` rows, the newest stay."""
        self.seen, self._ring = state["seen"], None
        if self.seen:
            columns = iter(state["columns"])
            rows = _empty(state["sensors"]).map(lambda _: next(columns))
            self.seen -= len(rows)  # so that each row finds the place it had
            self.append(rows)


def _grown(column: Tensor, rows: int) -> Tensor:
    """Return the column with zeros after it, `rows` long."""
    return torch.cat([column, column.new_zeros((rows - len(column), *column.shape[1:]))])


def _empty(sensors: int) -> Transition:
    """Return a table without rows, for the order of its columns."""
    none = torch.zeros(0)
    obs = (none,) * sensors
    output = PolicyOutput(Actions(none, none), none, none, none)
    rows = Experience(PolicyInput(obs, none, none), output, none, none, none, none, none)
    return Transition(rows, obs, none, none, none, none)
