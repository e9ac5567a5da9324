"""Which rows are learned from together: random rows, or whole sequences of an agent's rows for memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor


def minibatches(n: int, size: int, generator: torch.Generator | None) -> Iterator[Tensor]:
    """Yield (size,) row numbers of n rows in random order; rows that fill no minibatch are left out."""
    order = torch.randperm(n, generator=generator, device=generator.device if generator is not None else "cpu")
    for start in range(0, n // size * size, size):
        yield order[start : start + size]


def sequence_minibatches(sequence: Tensor, size: int, generator: torch.Generator | None) -> Iterator[Tensor]:
    """Yield row numbers of whole sequences in random order, of about `size` rows at a time; the rest is left out.

    sequence: (n,) the number of each row's sequence, of `sequences`. Rows of one sequence stay in order. Each
    minibatch has as many sequences as have `size` rows in the mean, at least one: sequences may be short, and batches
    of few rows would cost, and sway, as many steps.
    """
    order = torch.argsort(sequence, stable=True)
    parts = torch.split(order, torch.bincount(sequence).tolist())
    count = min(max(size * len(parts) // len(sequence), 1), len(parts))
    for chosen in minibatches(len(parts), count, generator):
        yield torch.cat([parts[i] for i in chosen.tolist()])


class Walk:
    """Minibatches of the same rows, epoch after epoch; one that is saved goes on where it stood.

    An epoch is what `minibatches` yields, or `sequence_minibatches` where rows are learned from in sequences.
    """

    def __init__(self, sequence: Tensor | None, n: int, size: int, generator: torch.Generator) -> None:
        """sequence: (n,) the number of each row's sequence, None for single rows; n: rows; size: of a minibatch."""
        self._parts: tuple[Tensor, ...] = ()  # the rows of each sequence
        self._units = n  # what is put in random order: rows, or sequences
        self._count = min(size, n)  # of them in a minibatch
        if sequence is not None:
            self._parts = torch.split(torch.argsort(sequence, stable=True), torch.bincount(sequence).tolist())
            self._units = len(self._parts)
            self._count = min(max(size * self._units // n, 1), self._units)
        self._generator = generator
        self._order = torch.empty(0, dtype=torch.int64)
        self._place = 0
        self.epochs = 0  # that have ended

    def next(self) -> Tensor:
        """Return the row numbers of the next minibatch."""
        if self._place == 0:
            device = self._generator.device
            self._order = torch.randperm(self._units, generator=self._generator, device=device)
        chosen = self._order[self._place : self._place + self._count]
        self._place += self._count
        if self._place + self._count > self._units:
            self._place = 0
            self.epochs += 1
        return torch.cat([self._parts[i] for i in chosen.tolist()]) if self._parts else chosen

    @property
    def between_epochs(self) -> bool:
        """Was the last minibatch the last of its epoch?"""
        return self._place == 0

    def state_dict(self) -> dict[str, Any]:
        """Return the order of the present epoch, the place in it, and the epochs before it."""
        return {"order": self._order, "place": self._place, "epochs": self.epochs}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what `state_dict` gave of a walk through as many rows."""
        self._order, self._place, self.epochs = state["order"], state["place"], state["epochs"]


def sequences(lane: Tensor, closes: Tensor, length: int) -> Tensor:
    """Return (n,) the number of the sequence that each row belongs to: at most `length` rows of one segment.

    lane: (n,) int64, rows of a lane in the order in which they happened; closes: (n,) bool, the row ends its segment.
    """
    order = torch.argsort(lane, stable=True)
    begins = torch.ones_like(closes)
    begins[1:] = closes[order[:-1]] | (lane[order[1:]] != lane[order[:-1]])
    place = torch.arange(len(lane), device=lane.device)
    within = place - torch.where(begins, place, 0).cummax(0).values
    number = torch.empty_like(lane)
    number[order] = (within % length == 0).cumsum(0) - 1
    return number


def steps_of(sequence: Tensor) -> list[Tensor]:
    """Return the rows of each step in time: entry t holds the t-th row of every sequence that has so many.

    sequence: (n,). The longest sequence is first in every entry, so a later entry continues the first rows of the one
    before.
    """
    _, sequence = torch.unique(sequence, return_inverse=True)
    size = torch.bincount(sequence)
    rank = torch.empty_like(size)
    rank[torch.argsort(size, descending=True, stable=True)] = torch.arange(len(size), device=size.device)
    order = torch.argsort(sequence, stable=True)
    first = size.cumsum(0) - size
    place = torch.arange(len(sequence), device=size.device) - first[sequence[order]]
    by_step = torch.argsort(place * len(size) + rank[sequence[order]])
    return list(torch.split(order[by_step], torch.bincount(place).tolist()))
