"""Random numbers of each area's own, so that a trajectory depends on seed, area and actions only, compiled."""

from __future__ import annotations

import numpy as np

from mlagents_envs.compiled import compiled


@compiled(inline="always")
def draw(chance, i, many):
    """Return an integer from 0 to below `many` from area i's own xorshift64* generator. Vigna 2016, arXiv:1402.6246."""
    x = chance[i]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    chance[i] = x
    high = (x * np.uint64(2685821657736338717)) >> np.uint64(32)
    return np.int64((high * np.uint64(many)) >> np.uint64(32))
