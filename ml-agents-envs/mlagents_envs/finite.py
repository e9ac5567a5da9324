"""Numbers that no learner can use: NaN, infinity, and numbers so large that their square is no float32 any more."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
LARGEST = 1e15
"""Largest magnitude that is taken: sums of squares of millions of such numbers are still finite in float32."""


def unusable(column: Array) -> tuple[int, ...] | None:
    """Return the index of the first number that is not finite or beyond LARGEST, None if all can be used."""
    if column.dtype.kind != "f" or not column.size:
        return None
    flat = column.ravel()
    if np.vdot(flat, flat) < LARGEST:  # one pass over nearly every column there is; NaN is not smaller
        return None
    wrong = ~(np.abs(column) <= LARGEST)
    return tuple(np.argwhere(wrong)[0].tolist()) if wrong.any() else None
