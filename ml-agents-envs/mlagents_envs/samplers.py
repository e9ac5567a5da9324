"""Distributions from which values of an environment parameter are drawn at every reading.

The same seed gives the same values in process and in a player. A sampler is a function of n that returns (n,)
float64, and can be pickled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass
class Uniform:
    """A uniform distribution between two numbers."""

    min_value: float
    max_value: float
    seed: int

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)

    def __call__(self, n: int) -> Array:
        return self._rng.uniform(self.min_value, self.max_value, n)


@dataclass
class Gaussian:
    """A normal distribution."""

    mean: float
    st_dev: float
    seed: int

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)

    def __call__(self, n: int) -> Array:
        return self._rng.normal(self.mean, self.st_dev, n)


@dataclass
class MultiRangeUniform:
    """A uniform distribution over several intervals, each with a probability in proportion to its width."""

    intervals: Sequence[Sequence[float]]  # pairs of smallest and largest
    seed: int
    _low: Array = field(init=False, repr=False, compare=False)
    _width: Array = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)
        ends = np.asarray(self.intervals, np.float64).reshape(-1, 2)
        self._low, self._width = ends[:, 0], ends[:, 1] - ends[:, 0]

    def __call__(self, n: int) -> Array:
        total, k = self._width.sum(), len(self._width)
        share = self._width / total if total > 0 else np.full(k, 1 / k)
        chosen = self._rng.choice(k, size=n, p=share)
        drawn: Array = self._low[chosen] + self._rng.random(n) * self._width[chosen]
        return drawn


Sampler = Uniform | Gaussian | MultiRangeUniform
