"""What became of the episodes of a team: won, drawn or lost. numpy only."""

from __future__ import annotations

import numpy as np

from mlagents.envs.finite import faulty
from mlagents.envs.steps import Array, StepBatch

ALONE = 0  # id of an agent without a group


class Results:
    """Follows which agents of a team play, to know when the last of a group ends."""

    def __init__(self) -> None:
        self._agent = np.empty(0, np.int64)  # ascending; those in groups that play
        self._group = np.empty(0, np.int64)
        self._seen: StepBatch | None = None  # the last tick, if all in it ask: the next one mostly has the same agents

    def receive(self, step: StepBatch) -> Array:
        """Return (k,) float32, the final rewards of the episodes that ended and count, in the order of the rows.

        The final reward is an agent's own of its last decision, and its group's. Interrupted episodes have no winner.
        Where agents are grouped, those count that end when no mate plays on. Rows that hold NaN do not count.
        """
        done = step.done
        if not done.any():
            self._join(step)
            return np.empty(0, np.float32)
        leaving = step.agent[done]
        stay = ~np.isin(self._agent, leaving)
        self._agent, self._group = self._agent[stay], self._group[stay]
        group = step.group[done]
        counts = ~step.interrupted[done] & ((group == ALONE) | ~np.isin(group, self._group))
        if step.faults:
            counts &= ~faulty(step)[done]
        final: Array = (step.reward[done] + step.group_reward[done])[counts]
        self._join(step)
        return final

    def close_environment(self, environment: int) -> None:
        """Forget the agents of an environment that is gone."""
        self._keep(self._agent >> 32 != environment)

    def clear(self) -> None:
        """Forget everyone: the environments begin anew."""
        self._keep(np.zeros(len(self._agent), bool))

    def _keep(self, those: Array) -> None:
        self._agent, self._group = self._agent[those], self._group[those]
        self._seen = None

    def _join(self, step: StepBatch) -> None:
        """Take in agents in groups that ask."""
        seen = self._seen
        if seen is not None and np.array_equal(step.agent, seen.agent) and np.array_equal(step.group, seen.group):
            return
        self._seen = None if step.done.any() else step
        asks = ~step.done & (step.group != ALONE)
        if len(step.stale):
            asks &= ~step.stale
        agent, first = np.unique(step.agent[asks], return_index=True)
        others = ~np.isin(self._agent, agent)  # whose groups may have changed
        both = np.concatenate([self._agent[others], agent])
        order = np.argsort(both)
        self._group = np.concatenate([self._group[others], step.group[asks][first]])[order]
        self._agent = both[order]
