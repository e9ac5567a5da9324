"""Seats for agents: an agent keeps its lane from its first row to its last."""

from __future__ import annotations

import numpy as np

from mlagents.envs.steps import Array


class Lanes:
    """Which agent sits where. Lanes that became free are given to the next who come, lowest first."""

    def __init__(self) -> None:
        self.size = 0  # lanes ever opened
        self._agent = np.empty(0, np.int64)  # seated agents, ascending
        self._lane = np.empty(0, np.int64)  # the lane of each
        self._free = np.empty(0, np.int64)  # ascending

    def find(self, agent: Array) -> Array:
        """Return the (n,) lanes of `agent`, -1 for those without a seat."""
        if not len(self._agent):
            return np.full(len(agent), -1)
        place = np.minimum(np.searchsorted(self._agent, agent), len(self._agent) - 1)
        return np.where(self._agent[place] == agent, self._lane[place], -1)

    def seat(self, agent: Array) -> Array:
        """Give each of the (n,) unseated agents a lane and return the lanes."""
        missing = len(agent) - len(self._free)
        if missing > 0:
            self._free = np.concatenate([self._free, np.arange(self.size, self.size + missing)])
            self.size += missing
        lane, self._free = self._free[: len(agent)], self._free[len(agent) :]
        together = np.concatenate([self._agent, agent])
        order = np.argsort(together, kind="stable")
        self._agent, self._lane = together[order], np.concatenate([self._lane, lane])[order]
        return lane

    def retire(self, world: int) -> Array:
        """Take the seats of a world's agents away for good and return their (n,) lanes; nobody sits there again."""
        gone = self._agent >> 32 == world
        lane, self._agent, self._lane = self._lane[gone], self._agent[~gone], self._lane[~gone]
        return lane

    def leave(self, agent: Array) -> None:
        """Free the lanes of seated agents."""
        leaving = np.isin(self._agent, agent)
        self._free = np.sort(np.concatenate([self._free, self._lane[leaving]]))
        self._agent, self._lane = self._agent[~leaving], self._lane[~leaving]
