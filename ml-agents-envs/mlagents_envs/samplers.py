"""Where the values of an environment parameter come from, when it is not one number: drawn anew at every reading.

The same seed gives the same values, in process and behind the wire. A sampler is a function of n that returns (n,)
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
    """Anything between two numbers."""

    min_value: float
    max_value: float
    seed: int

    def __post_init__(self) -> None:
        self._chance = np.random.default_rng(self.seed)

    def __call__(self, n: int) -> Array:
        return self._chance.uniform(self.min_value, self.max_value, n)


@dataclass
class Gaussian:
    """A normal distribution."""

    mean: float
    st_dev: float
    seed: int

    def __post_init__(self) -> None:
        self._chance = np.random.default_rng(self.seed)

    def __call__(self, n: int) -> Array:
        return self._chance.normal(self.mean, self.st_dev, n)


@dataclass
class MultiRangeUniform:
    """Anything in one of several intervals, each as likely as it is wide."""

    intervals: Sequence[Sequence[float]]  # pairs of smallest and largest
    seed: int
    _low: Array = field(init=False, repr=False, compare=False)
    _width: Array = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._chance = np.random.default_rng(self.seed)
        ends = np.asarray(self.intervals, np.float64).reshape(-1, 2)
        self._low, self._width = ends[:, 0], ends[:, 1] - ends[:, 0]

    def __call__(self, n: int) -> Array:
        total, k = self._width.sum(), len(self._width)
        share = self._width / total if total > 0 else np.full(k, 1 / k)
        chosen = self._chance.choice(k, size=n, p=share)
        drawn: Array = self._low[chosen] + self._chance.random(n) * self._width[chosen]
        return drawn


Sampler = Uniform | Gaussian | MultiRangeUniform
