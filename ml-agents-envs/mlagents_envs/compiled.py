"""numba, with a cache where that can be written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

ORDINARY = {"nnan", "ninf", "nsz"}
"""For `fastmath`: no number is infinite or none at all. The order of operations stays as it is written: what may be
reordered comes out another way when it was just compiled than when it comes from the cache."""
Function = TypeVar("Function", bound=Callable[..., Any])


def _cache_somewhere() -> None:
    """Point numba to a folder it can write, where the one beside the sources (of a shared installation) is not."""
    if not os.environ.get("NUMBA_CACHE_DIR") and not os.access(Path(__file__).parent, os.W_OK):
        os.environ["NUMBA_CACHE_DIR"] = str(Path(tempfile.gettempdir()) / "mlagents-numba")


def compiled(**options: Any) -> Callable[[Function], Function]:
    """Compile a kernel at its first call and keep the result for the next process; it runs without the GIL."""
    _cache_somewhere()
    import numba

    decorate: Callable[[Function], Function] = numba.njit(cache=True, nogil=True, error_model="numpy", **options)
    return decorate
