"""Off-policy memory: transitions in a ring. S is the number of reward signals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mlagents.data.experience import Actions, Experience, PolicyInput, PolicyOutput
from mlagents.data.frames import Frames
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


class Complete(NamedTuple):
    """Transitions of which all is known now."""

    transitions: Transition  # n rows
    lane: Tensor  # (n,) int64, the lane of each; a lane's rows are together, its oldest first
    closed: bool  # nothing more will come of the episodes in these lanes


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
        self._sampled: Tensor | None = None  # (n,) places of the rows that were sampled last
        self._ring: Transition | None = None  # allocated with the first row, when its columns are known

    def __len__(self) -> int:
        return self._held

    @property
    def nbytes(self) -> int:
        """Bytes that the rows take, with the room for those to come."""
        columns = () if self._ring is None else self._ring.columns()
        return self.frames.nbytes + sum(column.numel() * column.element_size() for column in columns)

    def writer(self) -> Callable[[Complete], None]:
        """Return what appends the rows of one source, whose lanes are its own."""
        return lambda part: self.append(part.transitions)

    def append(self, rows: Transition) -> None:
        """Take more rows; of more than `capacity` rows, the newest stay."""
        self._put(rows)

    def _put(self, rows: Transition) -> Any:
        """Take rows with all columns that the ring has, and return the ring."""
        rows = _with_inputs(rows, self.frames.put)
        ring = self._with_room(rows)
        skipped = max(len(rows) - len(ring), 0)
        number = torch.arange(self.seen + skipped, self.seen + len(rows), device=rows.returns.device)
        if self.seen + len(rows) > len(ring):
            self._evict(rows, torch.arange(skipped, device=number.device))
            self._evict(ring, number[number - len(ring) >= self.seen - self._held] % len(ring))
        ring[number % len(ring)] = rows[skipped:]
        self.seen += len(rows)
        self._held = min(self._held + len(rows), len(ring))
        return ring

    def _oldest_first(self, ring: Transition) -> Tensor:
        """Return the places of all rows that are here."""
        return torch.arange(self.seen - self._held, self.seen, device=ring.returns.device) % len(ring)

    def _evict(self, table: Transition, place: Tensor) -> None:
        """Let go of what the rows at these (m,) places of a table hold; they are about to be forgotten."""
        if not self.frames.empty:
            rows = table[place]
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
        ring = self._filled()
        self._sampled = torch.randint(len(self), (n,), generator=self.generator, device=ring.returns.device)
        return self._images(ring[self._sampled])

    def _filled(self) -> Transition:
        """Return the ring; raises IndexError if nothing is in it."""
        if self._ring is None or not len(self):
            raise IndexError("the replay buffer is empty")
        return self._ring

    def _images(self, rows: Transition) -> Transition:
        """Return rows of the ring with their images."""
        return _with_inputs(rows, self.frames.images)

    def drop_sampled(self) -> None:
        """Let the rows that were sampled last never be sampled again, if there are others.

        Copies of others take their places.
        """
        if self._ring is None or self._sampled is None:
            return
        stays = torch.ones(len(self), dtype=torch.bool, device=self._sampled.device)
        stays[self._sampled] = False
        self._sampled = None
        gone, rest = torch.nonzero(~stays)[:, 0], torch.nonzero(stays)[:, 0]
        if len(rest):
            others = self._ring[rest[torch.arange(len(gone), device=rest.device) % len(rest)]]
            if not self.frames.empty:
                self.frames.share(others.input)
                self.frames.share(others.next_input)
            self._evict(self._ring, gone)
            self._ring[gone] = others

    def clear(self) -> None:
        """Forget every row."""
        if self._ring is not None:
            self._evict(self._ring, self._oldest_first(self._ring))
        self.seen = self._held = 0
        self._sampled = None

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
            rows = self._named(sensors).with_columns(columns)
            rows = _with_inputs(rows, self.frames.load_state_dict(state.get("frames", {}), rows.input))
            if len(rows) == self.capacity:
                self.seen = state["seen"] - len(rows)  # so that each row finds the place it had
            self._put(rows)

    @staticmethod
    def _named(sensors: int) -> Transition:
        """Return a table without rows, for the names of the ring's columns."""
        none = torch.zeros(0, device="cpu")
        input = PolicyInput((none,) * sensors, none, none)
        rows = Experience(input, PolicyOutput(Actions(none, none), none, none, none), none, none, none, none, none)
        return Transition(rows, input, none, none, none)


def _with_inputs(rows: Transition, change: Callable[[PolicyInput], PolicyInput]) -> Transition:
    """Return the rows with `change` done to their inputs, or the same table where it changes nothing."""
    input, next_input = change(rows.input), change(rows.next_input)
    if input is rows.input and next_input is rows.next_input:
        return rows
    return replace(rows, rows=replace(rows.rows, input=input), next_input=next_input)
