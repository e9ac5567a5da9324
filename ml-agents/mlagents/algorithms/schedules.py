"""Numbers that change as training goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mlagents.algorithms.settings import ClippedPolicySettings

AnySchedule = Callable[[int], float]
"""A number as a function of the step: whatever can be called will do."""


@dataclass(frozen=True)
class Schedule:
    """A number that stays, or falls in a straight line to `minimum` at `max_steps` and stays there."""

    initial: float
    minimum: float
    max_steps: int
    linear: bool

    def __call__(self, step: int) -> float:
        if not self.linear:
            return self.initial
        left = 1 - min(step, self.max_steps) / self.max_steps
        return self.minimum + (self.initial - self.minimum) * left


def clip_schedules(settings: ClippedPolicySettings, max_steps: int) -> dict[str, AnySchedule]:
    """Return the clip range and the weight of the entropy."""
    return {
        "epsilon": Schedule(settings.epsilon, 0.1, max_steps, settings.epsilon_schedule == "linear"),
        "beta": Schedule(settings.beta, 1e-5, max_steps, settings.beta_schedule == "linear"),
    }
