"""Finds numbers that cannot be trained on: NaN, infinity, and numbers whose squares overflow float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
LARGEST = 1e15
"""Largest magnitude that is accepted: sums of squares of millions of such numbers are finite in float32."""


def unusable(column: Array) -> tuple[int, ...] | None:
    """Return the index of the first number that is not finite or beyond LARGEST, None if all can be used."""
    if column.dtype.kind != "f" or not column.size:
        return None
    flat = column.ravel()
    if np.vdot(flat, flat) < LARGEST:  # the usual case, in one pass; NaN is not smaller
        return None
    wrong = ~(np.abs(column) <= LARGEST)
    return tuple(np.argwhere(wrong)[0].tolist()) if wrong.any() else None


def unusable_rows(column: Array) -> dict[int, tuple[int, ...]]:
    """Return, for each row with numbers that cannot be used, the index of its first one, without the row."""
    if unusable(column) is None:
        return {}
    wrong = ~(np.abs(column) <= LARGEST)
    found: dict[int, tuple[int, ...]] = {}
    for row, *inner in np.argwhere(wrong).tolist():
        found.setdefault(row, tuple(inner))
    return found
