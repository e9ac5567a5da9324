"""Off-policy memory: rows wait until what followed them is known, then lie in a ring.

S is the number of reward signals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from mlagents.data.experience import Actions, Experience, PolicyInput, PolicyOutput
from mlagents.data.frames import Frames
from mlagents.data.rollout import Tick
from mlagents.data.rows import Rows


@dataclass(frozen=True, slots=True)
class Transition(Rows):
    """Experience with what came of it up to n rows later: a value's target is `returns + discount * V(next_input)`."""

    rows: Experience
    next_input: PolicyInput  # what the agent was asked then; everything is allowed where it was asked nothing any more
    returns: Tensor  # (n, S) float32, rewards until then, discounted and summed
    discount: Tensor  # (n, S) float32, gamma to the number of those rows; 0 if the episode terminated
    demonstrated: Tensor  # (n,) bool, from a demonstration

    @property
    def input(self) -> PolicyInput:
        """What the policy was asked."""
        return self.rows.input

    @property
    def action(self) -> Actions:
        """What it did, as sampled."""
        return self.rows.output.action


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

    def take(self, tick: Tick, reward: Tensor) -> list[Transition]:
        """Take rows that came home and their (n, S) rewards; return tables of rows that are whole now."""
        lane, n = tick.lane, self.n
        rows = tick.rows if self.frames is None else replace(tick.rows, input=self.frames.put(tick.rows.input))
        held, last = self._hold(rows, tick)
        slot = self._slot[lane]
        complete = self._waits[lane, slot]
        followed = rows.input if complete.all() else rows.input[complete]
        if self.frames is not None:
            self.frames.share(followed)
        whole = self._leave(held, lane[complete], slot[complete], followed)
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

    def close(self, lane: Tensor) -> list[Transition]:
        """Return a table of all rows of these (m,) lanes, each lane's oldest first: nothing more will come of them."""
        lane = lane[lane < len(self._waits)]
        if self._rows is None or not len(lane):
            return []
        slots = (self._slot[lane][:, None] + torch.arange(self.n, device=lane.device)) % self.n  # oldest first
        self._slot[lane] = 0  # as when the lane was new: order in the ring must not depend on earlier agents
        which, turn = torch.nonzero(self._waits[lane[:, None], slots], as_tuple=True)
        slot, lane = slots[which, turn], lane[which]
        return self._leave(self._rows, lane, slot, self._last_input(lane)) if len(lane) else []

    def clear(self) -> list[Transition]:
        """Close every lane."""
        return self.close(torch.arange(len(self._waits), device=self._waits.device))

    def _leave(self, held: Experience, lane: Tensor, slot: Tensor, next_input: PolicyInput) -> list[Transition]:
        if not len(lane):
            return []
        self._waits[lane, slot] = False
        rows = held[lane * self.n + slot]
        others = torch.full_like(lane, self.demonstrated, dtype=torch.bool)
        return [Transition(rows, next_input, self._returns[lane, slot], self._discount[lane, slot], others)]

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
        self._waits, self._slot = _grown(self._waits, lanes), _grown(self._slot, lanes)
        self._returns, self._discount = _grown(self._returns, lanes), _grown(self._discount, lanes)
        self._rows, self._last = held, last
        return held, last


class ReplayBuffer:
    """The newest `capacity` rows, or all of them; sampled uniformly, with replacement.

    Images lie in `frames`, each once. Rows that are appended have images, or their numbers there, each used once.
    """

    def __init__(self, capacity: int | None, generator: torch.Generator | None = None) -> None:
        """capacity: None keeps every row; generator: of what is sampled, None for torch's global one."""
        self.capacity = capacity
        self.generator = generator
        self.frames = Frames()
        self.seen = 0  # rows ever appended
        self._held = 0  # rows that are here
        self._ring: Transition | None = None  # allocated with the first row, when its columns are known

    def __len__(self) -> int:
        return self._held

    @property
    def nbytes(self) -> int:
        """Bytes that the rows take, with the room for those to come."""
        columns = () if self._ring is None else self._ring.columns()
        return self.frames.nbytes + sum(column.numel() * column.element_size() for column in columns)

    def append(self, rows: Transition) -> None:
        """Take more rows; of more than `capacity` rows, the newest stay."""
        rows = _with_inputs(rows, self.frames.put)
        ring = self._with_room(rows)
        new = rows[-len(ring) :]
        skipped = len(rows) - len(new)
        place = self.seen + skipped + torch.arange(len(new), device=new.returns.device)
        if not self.frames.empty:
            self._forget(rows[:skipped])
            self._forget(ring[place[place - len(ring) >= self.seen - self._held] % len(ring)])
        ring[place % len(ring)] = new
        self.seen += len(rows)
        self._held = min(self._held + len(new), len(ring))

    def _oldest_first(self, ring: Transition) -> Tensor:
        """Return the places of all rows that are here."""
        return torch.arange(self.seen - self._held, self.seen, device=ring.returns.device) % len(ring)

    def _forget(self, rows: Transition) -> None:
        """Let go of the images of rows."""
        self.frames.drop(rows.input)
        self.frames.drop(rows.next_input)

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
        device = self._ring.returns.device
        rows = self._ring[torch.randint(len(self), (n,), generator=self.generator, device=device)]
        return _with_inputs(rows, self.frames.images)

    def clear(self) -> None:
        """Forget every row."""
        if self._ring is not None and not self.frames.empty:
            self._forget(self._ring[self._oldest_first(self._ring)])
        self.seen = self._held = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the rows, oldest first, each column by its name, and each image once."""
        if self._ring is None or not len(self):
            return {"seen": 0, "columns": {}}
        rows = self._ring[self._oldest_first(self._ring)]
        frames, number = self.frames.state_dict(rows.input, rows.next_input)
        return {"seen": self.seen, "columns": dict(_with_inputs(rows, number).named_columns()), "frames": frames}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what `state_dict` gave; of more than `capacity` rows, the newest stay.

        Raises KeyError, with its name, for a column that is missing.
        """
        self.clear()
        self._ring = None
        if state["seen"]:
            columns = state["columns"]
            sensors = sum(name.startswith("rows.input.obs.") for name in columns)
            rows = _empty(sensors).with_columns(columns)
            rows = _with_inputs(rows, self.frames.load_state_dict(state.get("frames", {}), rows.input))
            self.seen = state["seen"] - len(rows)  # so that each row finds the place it had
            self.append(rows)


def _with_inputs(rows: Transition, change: Callable[[PolicyInput], PolicyInput]) -> Transition:
    """Return the rows with `change` done to their inputs, or the same table where it changes nothing."""
    input, next_input = change(rows.input), change(rows.next_input)
    if input is rows.input and next_input is rows.next_input:
        return rows
    return replace(rows, rows=replace(rows.rows, input=input), next_input=next_input)


def _grown(column: Tensor, rows: int) -> Tensor:
    """Return the column with zeros after it, `rows` long."""
    return torch.cat([column, column.new_zeros((rows - len(column), *column.shape[1:]))])


def _empty(sensors: int) -> Transition:
    """Return a table without rows, for the names of its columns."""
    none = torch.zeros(0, device="cpu")
    input = PolicyInput((none,) * sensors, none, none)
    rows = Experience(input, PolicyOutput(Actions(none, none), none, none, none), none, none, none, none, none)
    return Transition(rows, input, none, none, none)
