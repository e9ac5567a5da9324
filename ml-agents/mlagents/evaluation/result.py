"""What a policy scores: a table of episodes, and numbers about it."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from mlagents.evaluation.statistics import Array, Interval, mean_interval

ALONE = 0  # group of an agent that is in none


@dataclass(frozen=True)
class Evaluation:
    """Episodes of one behavior, in the order in which they began, environment by environment; m is their number.

    An episode is that of one agent. Agents of several teams are in one table.
    """

    returns: Array  # (m,) float64, undiscounted sums of an agent's own rewards
    group_returns: Array  # (m,) float64, of what its group was given; 0 for agents that are in none
    lengths: Array  # (m,) int64, decisions
    interrupted: Array  # (m,) bool, ended by a limit of steps of the environment
    cut: Array  # (m,) bool, not over after as many decisions as an evaluation waits for
    teams: Array  # (m,) int64
    groups: Array  # (m,) int64, 0 = alone
    agents: Array  # (m,) int64, ids in the environment
    environments: Array  # (m,) int64
    began: Array  # (m,) int64, the tick in which it began

    def __len__(self) -> int:
        return len(self.returns)

    @property
    def scores(self) -> Array:
        """(m,) what agents earn in all: their own rewards and those of their groups."""
        scores: Array = self.returns + self.group_returns
        return scores

    @property
    def mean_return(self) -> float:
        """The mean of the returns."""
        return float(self.returns.mean())

    @property
    def std_return(self) -> float:
        """The standard deviation of the returns."""
        return float(self.returns.std())

    @property
    def score(self) -> float:
        """The mean of the scores; it is `mean_return` where no agent is in a group."""
        return float(self.scores.mean())

    @property
    def clusters(self) -> Array:
        """(m,) which episodes depend on each other: those of one group that began together."""
        alone = self.groups == ALONE
        keys = np.stack(
            [self.environments, np.where(alone, np.arange(len(self)), self.groups), np.where(alone, -1, self.began)]
        )
        cluster: Array = np.unique(keys, axis=1, return_inverse=True)[1].reshape(-1)
        return cluster

    @property
    def interval(self) -> Interval | None:
        """Where the true mean of the scores lies with a confidence of 95 %; None for fewer than two observations."""
        return self.interval_of(self.scores)

    def interval_of(self, values: Array) -> Interval | None:
        """Return where the true mean of (m,) values of these episodes lies; agents of a group are one observation."""
        return mean_interval(values, self.clusters)

    def success_rate(self, threshold: float) -> float:
        """Return the share of episodes whose score is above a threshold."""
        return float((self.scores > threshold).mean())

    @property
    def team_ids(self) -> list[int]:
        """The teams that have episodes."""
        return [int(team) for team in np.unique(self.teams)]

    def of_team(self, team: int) -> Evaluation:
        """Return the episodes of one team."""
        return self.rows(self.teams == team)

    def rows(self, which: Array) -> Evaluation:
        """Return some of the episodes. which: an index, or (m,) bool."""
        return Evaluation(**{column.name: getattr(self, column.name)[which] for column in fields(self)})

    def __repr__(self) -> str:
        if not len(self):
            return "<Evaluation: no episode>"
        return f"<Evaluation: {self.mean_return:.3f} +- {self.std_return:.3f} over {len(self)} episodes>"
