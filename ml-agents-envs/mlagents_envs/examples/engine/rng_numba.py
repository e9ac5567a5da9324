"""Random numbers of each area's own, so that a trajectory depends on seed, area and actions only, compiled."""

from __future__ import annotations

import numpy as np

from mlagents_envs.compiled import compiled

F = np.float32


@compiled(inline="always")
def bits(rng, i):
    """Return 64 random bits from area i's own xorshift64* generator. Vigna 2016, arXiv:1402.6246."""
    x = rng[i]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    rng[i] = x
    return x * np.uint64(2685821657736338717)


@compiled(inline="always")
def draw(rng, i, many):
    """Return an integer from 0 to below `many`."""
    high = bits(rng, i) >> np.uint64(32)
    return np.int64((high * np.uint64(many)) >> np.uint64(32))


@compiled(inline="always")
def uniform(rng, i, low, high):
    """Return a number in [low, high)."""
    return F(low) + F(high - low) * (F(bits(rng, i) >> np.uint64(40)) * F(1.0 / 16777216.0))
