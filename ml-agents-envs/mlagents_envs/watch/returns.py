"""The returns of agents and their learning curve, counted while other code steps the environment."""

from __future__ import annotations

import numpy as np

from mlagents_envs.examples.example import ExampleEnv


class Curve:
    """Mean returns of ever more episodes per point, so that all fit into a fixed number of points."""

    def __init__(self, most: int = 240) -> None:
        """most: points, an even number."""
        self.points: list[float] = []
        self._most = most
        self._each = 1  # episodes in a point
        self._waiting: list[float] = []

    def add(self, returns: list[float]) -> None:
        """Take the returns of episodes that ended."""
        self._waiting += returns
        while len(self._waiting) >= self._each:
            self.points.append(float(np.mean(self._waiting[: self._each])))
            del self._waiting[: self._each]
            if len(self.points) == self._most:
                self.points = [(a + b) / 2 for a, b in zip(self.points[::2], self.points[1::2], strict=True)]
                self._each *= 2


class Returns:
    """The returns of an example's agents; call `follow` after each of its steps."""

    def __init__(self, example: ExampleEnv) -> None:
        self._example = example
        self.curve = Curve()
        self.episodes = 0
        self.begin()

    def begin(self) -> None:
        """Clear the running episodes: the environment was reset."""
        self.total = np.zeros(self._example.n)  # of each row's present episode
        self.length = np.zeros(self._example.n, np.int64)  # decisions

    def follow(self) -> None:
        """Add the rewards of the last step."""
        example = self._example
        self.length += 1
        if example.any_ended:
            self._end()
        for behavior in example.BEHAVIORS:
            decision, _ = example.get_steps(behavior)
            earned = decision.reward + decision.group_reward if example.GROUPED else decision.reward
            if len(earned) == example.n:
                self.total += earned
            else:
                self.total[example.asking_rows(behavior)] += earned

    def last(self, row: int) -> float:
        """Return the last reward of the agent of a row, 0 where an episode begins."""
        behavior = self._example.behavior_of(row)
        if not behavior:
            return 0.0
        decision, _ = self._example.get_steps(behavior)
        (i,) = np.flatnonzero(self._example.asking_rows(behavior) == row)
        return float(decision.reward[i] + decision.group_reward[i])

    def _end(self) -> None:
        """Count the episodes that have ended."""
        for behavior in self._example.BEHAVIORS:
            _, terminal = self._example.get_steps(behavior)
            rows = self._example.ended_rows(behavior)
            self.curve.add((self.total[rows] + terminal.reward + terminal.group_reward).tolist())
            self.episodes += len(rows)
            self.total[rows] = self.length[rows] = 0
