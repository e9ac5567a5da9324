"""numba, with a cache where that can be written, and a word when it compiles."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from mlagents_envs.logging_util import get_logger

ORDINARY = {"nnan", "ninf", "nsz"}
"""For `fastmath`: no number is infinite or none at all. The order of operations stays as it is written: what may be
reordered comes out another way when it was just compiled than when it comes from the cache."""
Function = TypeVar("Function", bound=Callable[..., Any])
log = get_logger(__name__)


@cache
def _numba() -> Any:
    """Return numba, with a folder for its cache that it can write, and somebody who tells of compiling."""
    if not os.environ.get("NUMBA_CACHE_DIR") and not os.access(Path(__file__).parent, os.W_OK):
        os.environ["NUMBA_CACHE_DIR"] = str(Path(tempfile.gettempdir()) / "mlagents-numba")  # a shared installation
    import numba

    event: Any = import_module("numba.core.event")

    class Teller(event.Listener):  # type: ignore[misc]
        """Says once in this process that kernels of ours are compiled; those from the cache are not."""

        def on_start(self, compiling: Any) -> None:
            if compiling.data["dispatcher"].py_func.__module__.startswith(f"{__package__}."):
                event.unregister("numba:compile", self)
                log.info("Compiling with numba: this takes some seconds, and the next start finds it in a cache.")

        def on_end(self, compiling: Any) -> None:
            """Nothing to tell."""

    event.register("numba:compile", Teller())
    return numba


def compiled(**options: Any) -> Callable[[Function], Function]:
    """Compile a kernel at its first call and keep the result for the next process; it runs without the GIL."""
    decorate: Callable[[Function], Function] = _numba().njit(cache=True, nogil=True, error_model="numpy", **options)
    return decorate
