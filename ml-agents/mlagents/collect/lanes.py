"""Lanes for agents: an agent keeps its lane from its first question until it is gone."""

from __future__ import annotations

import numpy as np

from mlagents.envs.steps import Array


class FreeLanes:
    """Hands out lanes to several tables of agents. Lanes that became free are given away first, lowest first."""

    def __init__(self) -> None:
        self.size = 0  # lanes ever opened
        self._free = np.empty(0, np.int64)  # ascending

    def take(self, n: int) -> Array:
        """Return (n,) lanes."""
        missing = n - len(self._free)
        if missing > 0:
            self._free = np.concatenate([self._free, np.arange(self.size, self.size + missing)])
            self.size += missing
        lane, self._free = self._free[:n], self._free[n:]
        return lane

    def give_back(self, lane: Array) -> None:
        """Make these (n,) lanes free."""
        self._free = np.sort(np.concatenate([self._free, lane]))


class Lanes:
    """The lane of each agent."""

    def __init__(self, free: FreeLanes) -> None:
        self._free = free
        self._agent = np.empty(0, np.int64)  # ascending
        self._lane = np.empty(0, np.int64)  # the lane of each

    def __len__(self) -> int:
        return len(self._agent)

    def find(self, agent: Array) -> Array:
        """Return the (n,) lanes of `agent`, -1 for those without one."""
        if not len(self._agent):
            return np.full(len(agent), -1)
        place = np.minimum(np.searchsorted(self._agent, agent), len(self._agent) - 1)
        return np.where(self._agent[place] == agent, self._lane[place], -1)

    def seat(self, agent: Array) -> Array:
        """Give each of the (n,) agents, which have none, a lane and return the lanes."""
        lane = self._free.take(len(agent))
        together = np.concatenate([self._agent, agent])
        order = np.argsort(together, kind="stable")
        self._agent, self._lane = together[order], np.concatenate([self._lane, lane])[order]
        return lane

    def leave(self, lane: Array) -> None:
        """Free these lanes; their agents have none any more."""
        self._free.give_back(self._lane[np.isin(self._lane, lane)])
        self.forget(lane)

    def forget(self, lane: Array) -> None:
        """Let the agents of these lanes have none any more; the lanes are not free by that."""
        stays = ~np.isin(self._lane, lane)
        self._agent, self._lane = self._agent[stays], self._lane[stays]

    def everyone(self) -> Array:
        """Return the lanes of all agents."""
        everyone: Array = self._lane.copy()
        return everyone

    def of_environment(self, environment: int) -> Array:
        """Return the lanes of an environment's agents."""
        lane: Array = self._lane[self._agent >> 32 == environment]
        return lane

    def taken(self, lanes: int) -> Array:
        """Return (lanes,) bool: does an agent have this lane?"""
        taken = np.zeros(lanes, bool)
        taken[self._lane] = True
        return taken

    def environments(self) -> int:
        """Return how many environments have agents here."""
        return len(np.unique(self._agent >> 32))
