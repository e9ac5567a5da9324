"""Off-policy memory: a ring of rows, each with what followed it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mlagents.data.experience import Experience
from mlagents.data.rollout import Tick
from mlagents.data.rows import Rows


@dataclass(frozen=True, slots=True)
class Transition(Rows):
    """Experience with what the agent saw next."""

    rows: Experience
    after: tuple[Tensor, ...]  # one (n, *shape) per sensor


class ReplayBuffer:
    """The newest `capacity` rows; sampled uniformly, with replacement."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.seen = 0  # rows ever appended
        self._ring: Transition | None = None  # allocated with the first row, when its columns are known

    def __len__(self) -> int:
        return min(self.seen, self.capacity)

    def append(self, tick: Tick) -> None:
        """Take the rows of one tick; of more than `capacity` rows, the newest stay."""
        new = Transition(tick.rows, tick.after)[-self.capacity :]
        if self._ring is None:
            self._ring = new.blank(self.capacity)
        skipped = len(tick.lane) - len(new)
        self._ring[(self.seen + skipped + torch.arange(len(new))) % self.capacity] = new
        self.seen += len(tick.lane)

    def sample(self, n: int) -> Transition:
        """Return n random rows; the buffer holds at least one."""
        if self._ring is None:
            raise IndexError("the replay buffer is empty")
        return self._ring[torch.randint(len(self), (n,))]

    def clear(self) -> None:
        """Forget every row."""
        self.seen = 0
