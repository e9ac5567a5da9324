"""Ends a behavior's training before its max_steps, once it earns enough."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable

from mlagents.evaluation.settings import StopSettings

log = logging.getLogger(__name__)


class Target:
    """The mean reward at which a behavior has learnt enough; it stays reached, whatever comes later."""

    def __init__(
        self, settings: StopSettings, *, evaluated: bool, reached: object = None,
        note: Callable[[float], None] = lambda reward: None,
    ) -> None:  # fmt: skip
        """evaluated: is it measured by evaluations, and not by the episodes of training?

        reached: the mean reward that a resumed run had reached. note: is called with the one that is reached.
        """
        self.reward = settings.reward
        self.reached: float | None = None
        """The mean reward that was enough; None before."""
        if isinstance(reached, int | float) and not isinstance(reached, bool) and reached >= self.reward:
            self.reached = float(reached)
        self._evaluated = evaluated
        self._returns: deque[float] = deque(maxlen=settings.episodes)
        self._note = note

    def add_returns(self, returns: Iterable[float], behavior: str, step: int) -> None:
        """Count episodes of training that ended."""
        if self._evaluated or self.reached is not None:
            return
        self._returns.extend(returns)
        if len(self._returns) == self._returns.maxlen:
            mean = sum(self._returns) / len(self._returns)
            self._compare(mean, f"over the last {len(self._returns)} episodes", behavior, step)

    def add_evaluation(self, score: float, behavior: str, step: int) -> None:
        """Compare the mean score of an evaluation."""
        if self._evaluated and self.reached is None:
            self._compare(score, "in its evaluation", behavior, step)

    def _compare(self, mean: float, where: str, behavior: str, step: int) -> None:
        if mean >= self.reward:
            self.reached = mean
            self._note(mean)
            log.info(f"{behavior} earns {mean:.3f} {where} at step {step:,}: stop_when.reward is {self.reward:g}.")
