"""Compiles kernels with numba; keeps them in a cache if a writable, trusted folder exists; logs when it compiles."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from mlagents_envs.exception import UnityEnvironmentException
from mlagents_envs.logging_util import get_logger
from mlagents_envs.user_folder import cache_path, private_cache

ORDINARY = {"nnan", "ninf", "nsz"}
"""For `fastmath`: numbers are finite, never NaN. The order of operations stays as it is written: reordered, results
would differ between a kernel that was just compiled and one from the cache."""
PACKAGE = Path(__file__).parent
NAME = "numba"  # of the cache folder
BROKEN = (
    OSError, EOFError, pickle.PickleError, ValueError, TypeError, LookupError, AttributeError, ImportError,
    RuntimeError, MemoryError,
)  # fmt: skip
"""What reading or writing a cache may raise; pickle may raise any of these for a truncated file."""
Function = TypeVar("Function", bound=Callable[..., Any])
log = get_logger(__name__)


def kernel_folder() -> Path:
    """Return the folder of cached kernels: NUMBA_CACHE_DIR, beside the sources, or in the user's cache.

    Creates nothing. Raises UnityEnvironmentException if there is no such folder.
    """
    if uses_own_folder():
        return cache_path(NAME)
    return Path(os.environ.get("NUMBA_CACHE_DIR") or PACKAGE)


def uses_own_folder() -> bool:
    """Return whether this is a read-only installation, whose kernels are kept in the user's cache."""
    return not os.environ.get("NUMBA_CACHE_DIR") and not os.access(PACKAGE, os.W_OK)


@cache
def _numba() -> Any:
    """Return numba, with a listener that logs the first compilation."""
    import numba

    event: Any = import_module("numba.core.event")

    class CompileLogger(event.Listener):  # type: ignore[misc]
        """Logs once in this process that kernels of this package are compiled and not read from the cache."""

        def on_start(self, compiling: Any) -> None:
            if compiling.data["dispatcher"].py_func.__module__.startswith(f"{__package__}."):
                event.unregister("numba:compile", self)
                where = "; the next start reads it from a cache" if _is_kept() else ""
                log.info(f"Compiling with numba: this takes some seconds{where}.")

        def on_end(self, compiling: Any) -> None:
            """Log nothing."""

    event.register("numba:compile", CompileLogger())
    return numba


@cache
def _is_kept() -> bool:
    """Return whether there is a folder for the cache; log the reason if not."""
    try:
        if uses_own_folder():
            private_cache(NAME)
    except UnityEnvironmentException as error:
        _without_cache(str(error))
        return False
    return True


@cache
def _without_cache(why: str) -> None:
    """Log, once for each reason, that kernels are not cached."""
    log.warning(
        f"Kernels are compiled without a cache: {why}. Every start takes some seconds longer; set NUMBA_CACHE_DIR to "
        "a folder that only you can write to."
    )


class _Cache:
    """The cache of one kernel: what cannot be read is compiled again, what cannot be written is not cached."""

    def __init__(self, of_numba: Any) -> None:
        self._cache = of_numba

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

    def load_overload(self, signature: Any, target: Any) -> Any:
        try:
            return self._cache.load_overload(signature, target)
        except BROKEN as error:
            self._clear(error)
            return None

    def save_overload(self, signature: Any, result: Any) -> None:
        try:
            self._cache.save_overload(signature, result)
        except BROKEN as error:
            self._disable(error)

    def _clear(self, error: BaseException) -> None:
        """Empty a cache that cannot be read, so that the next start need not compile."""
        log.info(f"A kernel in {self._cache.cache_path} cannot be read ({_cause(error)}): it is compiled again.")
        try:
            self._cache.flush()
        except BROKEN as failure:
            self._disable(failure)

    def _disable(self, error: BaseException) -> None:
        self._cache.disable()
        _without_cache(f"{self._cache.cache_path} cannot be written ({_cause(error)})")


def compiled(**options: Any) -> Callable[[Function], Function]:
    """Compile a kernel at its first call and cache the result for the next process; it runs without the GIL."""
    numba = _numba()

    def decorate(function: Function) -> Function:
        kernel = numba.njit(nogil=True, error_model="numpy", **options)(function)
        if _is_kept() and hasattr(kernel, "enable_caching"):  # not where NUMBA_DISABLE_JIT leaves a function as it is
            _keep(kernel, numba.config)
        made: Function = kernel
        return made

    return decorate


def _keep(kernel: Any, config: Any) -> None:
    """Enable a kernel's cache, leaving numba's global setting as it was."""
    before = config.CACHE_DIR
    try:
        if uses_own_folder():
            config.CACHE_DIR = str(kernel_folder())
        kernel.enable_caching()
    except (RuntimeError, OSError) as error:  # numba finds no folder
        _without_cache(_cause(error))
        return
    finally:
        config.CACHE_DIR = before
    kernel._cache = _Cache(kernel._cache)  # private: numba has no public way to survive a full or damaged cache


def _cause(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
