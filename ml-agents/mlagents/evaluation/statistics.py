"""Means of episodes, and how far the true mean may lie from them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
LEVEL = 0.95  # of confidence intervals
_NORMAL = 1.959963984540054  # the limit of Student's quantile
_EXACT = 200  # degrees of freedom up to which the distribution is summed


class Interval(NamedTuple):
    """Where the true mean lies with a confidence of 95 %."""

    low: float
    high: float


def mean_interval(values: Array, cluster: Array) -> Interval | None:
    """Return the confidence interval of the mean of (m,) values; None for fewer than two independent observations.

    cluster: (m,) int64; values of one cluster depend on each other, as those of agents that share a reward do. They
    count as one observation, so the interval is not narrower for many agents of one group. With a cluster for each
    value it is Student's t interval, s / sqrt(m) times t. Liang and Zeger 1986, Biometrika 73(1).
    """
    count = len(np.unique(cluster))
    if count < 2:
        return None
    mean = float(values.mean())
    sums = np.bincount(np.unique(cluster, return_inverse=True)[1], weights=values - mean)
    error = math.sqrt(float((sums**2).sum()) * count / (count - 1)) / len(values)
    reach = t_quantile(count - 1) * error
    return Interval(mean - reach, mean + reach)


def t_quantile(degrees: int) -> float:
    """Return the t that Student's distribution of these degrees of freedom stays within, from -t to t, at 95 %."""
    if degrees > _EXACT:
        z = _NORMAL
        return z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)
    low, high = _NORMAL, 13.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _probability(middle, degrees) < LEVEL else (low, middle)
    return high


def _probability(t: float, degrees: int) -> float:
    """Return P(-t <= T <= t). Abramowitz and Stegun 1964, 26.7.3 and 26.7.4."""
    angle = math.atan(t / math.sqrt(degrees))
    cosine, odd = math.cos(angle), degrees % 2
    term, total = (cosine if odd else 1.0), 0.0
    for k in range((degrees - odd) // 2):
        total += term
        term *= cosine**2 * ((2 * k + 2) / (2 * k + 3) if odd else (2 * k + 1) / (2 * k + 2))
    return 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total
