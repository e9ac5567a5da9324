"""What each reward signal gave over whole episodes, though rollouts cut them."""

from __future__ import annotations

import torch
from torch import Tensor


class EpisodeSums:
    """Adds rows up until their agent's episode ends; S is the number of reward signals."""

    def __init__(self, signals: int, device: torch.device | str = "cpu") -> None:
        self._open = torch.zeros(0, signals, device=device)  # per lane: what its running episode gave so far

    def add(self, reward: Tensor, lane: Tensor, done: Tensor, lost: Tensor | None = None) -> Tensor:
        """Return (k, S) the sums of the k episodes that ended.

        reward: (n, S), rows of a lane in the order in which they happened; lane: (n,) int64; done: (n,) bool.
        lost: (n,) bool, the row is the last of an agent that vanished: its sum is dropped.
        """
        lanes = int(lane.max()) + 1
        if lanes > len(self._open):
            self._open = torch.cat([self._open, self._open.new_zeros(lanes - len(self._open), reward.shape[1])])
        order = torch.argsort(lane, stable=True)
        lane, done = lane[order], done[order]
        over = done if lost is None else done | lost[order]
        # Episodes are runs of the sorted rows: one ends after each row that is over and where the lane changes.
        last = over.clone()
        last[:-1] |= lane[1:] != lane[:-1]
        last[-1] = True
        episode = torch.cat([last.new_zeros(1, dtype=torch.int64), last[:-1].cumsum(0)])
        total = reward.new_zeros(int(last.sum()), reward.shape[1]).index_add_(0, episode, reward[order])
        last_lane, ended, over = lane[last], done[last], over[last]
        first = torch.ones_like(ended)
        first[1:] = last_lane[1:] != last_lane[:-1]
        total[first] += self._open[last_lane[first]]
        self._open[last_lane[over]] = 0.0
        self._open[last_lane[~over]] = total[~over]
        return total[ended]

    def drop(self, lane: Tensor) -> None:
        """Forget what the running episodes of these (m,) lanes gave: their agents are gone."""
        self._open[lane[lane < len(self._open)]] = 0.0

    def clear(self) -> None:
        """Forget running episodes."""
        self._open.zero_()
