"""Demonstrated rows, of which whole episodes are held out: to be measured with, not to be learned from."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from mlagents.data.experience import Experience


class Split:
    """Rows to learn from, and rows of episodes that are held out; n is the number of all rows."""

    def __init__(self, rows: Experience, held_out: Tensor) -> None:
        """rows: in order; held_out: (k,) int64 numbers of the episodes that are held out, of which it leaves some."""
        self.held_out = held_out
        self.rows = len(rows)
        self.episodes = episodes_of(rows)
        """(n,) int64, the number of each row's episode."""
        apart = torch.isin(self.episodes, held_out)
        self.learned = rows[~apart]
        self.measured = rows[apart]
        self._measured_episodes = self.episodes[apart]

    def measured_blocks(self, most: int) -> Iterator[tuple[Experience, Tensor]]:
        """Yield the held-out rows in blocks of whole episodes, and their episodes' numbers.

        most: rows of a block, which only a longer episode exceeds.
        """
        _, sizes = torch.unique_consecutive(self._measured_episodes, return_counts=True)
        start, end = 0, 0
        for size in [*sizes.tolist(), most + 1]:
            if end > start and end + size - start > most:
                yield self.measured[start:end], self._measured_episodes[start:end]
                start = end
            end += size


def episodes_of(rows: Experience) -> Tensor:
    """Return (n,) the number of each row's episode, from 0; an episode that was cut off is one too."""
    ends = (rows.done | rows.interrupted).long()
    return ends.cumsum(0) - ends


def drawn_episodes(count: int, share: float, generator: torch.Generator) -> Tensor:
    """Return (k,) random numbers of `count` episodes, in order: this share of them, at least one, never all.

    Nothing is drawn where the share is 0 or there is one episode only.
    """
    if share == 0 or count < 2:
        return torch.empty(0, dtype=torch.int64, device=generator.device)
    size = min(max(round(share * count), 1), count - 1)
    return torch.randperm(count, generator=generator, device=generator.device)[:size].sort().values
