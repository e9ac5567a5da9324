"""Values of environment parameters, drawn anew for each episode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mlagents.envs.settings import (
    ConstantParameters,
    GaussianParameters,
    MultiRangeUniformParameters,
    SamplerSettings,
    UniformParameters,
)
from mlagents.envs.steps import Array


def sampler(settings: SamplerSettings, chance: np.random.Generator) -> float | Callable[[int], Array]:
    """Return a number, or a function that draws (n,) values. A seed of its own, where given, wins over `chance`."""
    given: Any = settings.sampler_parameters
    if isinstance(given, ConstantParameters):
        return given.value
    if given.seed >= 0:
        chance = np.random.default_rng(given.seed)
    if isinstance(given, UniformParameters):
        return lambda n: chance.uniform(given.min_value, given.max_value, n)
    if isinstance(given, GaussianParameters):
        return lambda n: chance.normal(given.mean, given.st_dev, n)
    if isinstance(given, MultiRangeUniformParameters):
        return lambda n: _ranges(np.array(given.intervals), chance, n)
    raise TypeError(f"{type(given).__name__} is no sampler")


def _ranges(intervals: Array, chance: np.random.Generator, n: int) -> Array:
    """Draw (n,) values from (k, 2) intervals, each as likely as it is wide."""
    width = intervals[:, 1] - intervals[:, 0]
    share = width / width.sum() if width.sum() > 0 else np.full(len(width), 1 / len(width))
    chosen = chance.choice(len(width), size=n, p=share)
    drawn: Array = intervals[chosen, 0] + chance.random(n) * width[chosen]
    return drawn
