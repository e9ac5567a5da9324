"""Win rates with intervals, and ratings of players who met each other. n is the number of players."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlagents.evaluation.statistics import Interval

Array = NDArray[Any]
Z = 1.959963984540054  # of a confidence of 95 %
MEAN = 1200.0  # rating of the average player
SCALE = 400.0 / math.log(10.0)  # points of a lead with which the odds are e to 1
PRIOR = 1.0  # drawn games that every two players are credited with, so that no rating is infinite
TURNS, CLOSE = 10_000, 1e-9  # of the fit: turns at most, and points of change at which it ends


def win_interval(wins: int, games: int) -> Interval | None:
    """Return where the true share of won games lies with a confidence of 95 %; None without a game.

    Wilson 1927, Journal of the American Statistical Association 22(158): unlike p +- z sqrt(p (1 - p) / n), it is right
    for few games, and where all of them were won.
    """
    if not games:
        return None
    share, squared = wins / games, Z * Z / games
    middle = (share + squared / 2) / (1 + squared)
    reach = Z / (1 + squared) * math.sqrt(share * (1 - share) / games + squared / (4 * games))
    return Interval(max(0.0, middle - reach), min(1.0, middle + reach))


def fit_ratings(scores: Array) -> tuple[Array, Array]:
    """Return (n,) ratings, whose mean is 1200, and how far the true ones may lie from them at 95 %.

    scores: (n, n) float64, points of the row's player against the column's: 1 for a win, 0.5 for a draw.

    With the strengths p of Bradley and Terry 1952, Biometrika 39(3/4), a player wins with the probability
    p_i / (p_i + p_j); a rating is 400 log10 p. They are fitted by p_i <- points_i / sum_j games_ij / (p_i + p_j),
    Hunter 2004, Annals of Statistics 32(1). Their errors are those of the likelihood's curvature.
    """
    n = len(scores)
    apart = 1.0 - np.eye(n)
    points = (scores + PRIOR / 2) * apart
    games = points + points.T
    strength = np.ones(n)
    for _ in range(TURNS):
        before = strength
        strength = points.sum(1) / (games / (strength[:, None] + strength[None])).sum(1)
        strength = strength / np.exp(np.log(strength).mean())
        if SCALE * np.abs(np.log(strength / before)).max() < CLOSE:
            break
    expected = strength[:, None] / (strength[:, None] + strength[None])
    weight = games * expected * (1 - expected)
    curvature = (np.diag(weight.sum(1)) - weight) / SCALE**2
    error = np.sqrt(np.diag(np.linalg.pinv(curvature, hermitian=True)))
    return MEAN + SCALE * np.log(strength), Z * error
