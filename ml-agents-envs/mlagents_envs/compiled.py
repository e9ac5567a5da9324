"""numba, with a cache where that can be written and trusted, and a word when it compiles."""

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
"""For `fastmath`: no number is infinite or none at all. The order of operations stays as it is written: what may be
reordered comes out another way when it was just compiled than when it comes from the cache."""
PACKAGE = Path(__file__).parent
NAME = "numba"  # of the cache among those of this package
BROKEN = (
    OSError, EOFError, pickle.PickleError, ValueError, TypeError, LookupError, AttributeError, ImportError,
    RuntimeError, MemoryError,
)  # fmt: skip
"""What reading or writing a cache may raise: pickle promises no less for a file that was cut off."""
Function = TypeVar("Function", bound=Callable[..., Any])
log = get_logger(__name__)


def kernel_folder() -> Path:
    """Return where kernels are kept: as NUMBA_CACHE_DIR says, beside the sources, or in the user's cache.

    Makes nothing. Raises UnityEnvironmentException if there is no such place.
    """
    if uses_own_folder():
        return cache_path(NAME)
    return Path(os.environ.get("NUMBA_CACHE_DIR") or PACKAGE)


def uses_own_folder() -> bool:
    """Is this a shared installation, whose kernels are kept in the user's cache?"""
    return not os.environ.get("NUMBA_CACHE_DIR") and not os.access(PACKAGE, os.W_OK)


@cache
def _numba() -> Any:
    """Return numba, with somebody who tells of compiling."""
    import numba

    event: Any = import_module("numba.core.event")

    class Teller(event.Listener):  # type: ignore[misc]
        """Says once in this process that kernels of ours are compiled; those from the cache are not."""

        def on_start(self, compiling: Any) -> None:
            if compiling.data["dispatcher"].py_func.__module__.startswith(f"{__package__}."):
                event.unregister("numba:compile", self)
                where = ", and the next start finds it in a cache" if _is_kept() else ""
                log.info(f"Compiling with numba: this takes some seconds{where}.")

        def on_end(self, compiling: Any) -> None:
            """Nothing to tell."""

    event.register("numba:compile", Teller())
    return numba


@cache
def _is_kept() -> bool:
    """Is there a folder for the cache? If not, the log says why. A shared installation needs one of the user's own."""
    try:
        if uses_own_folder():
            private_cache(NAME)
    except UnityEnvironmentException as error:
        _without_cache(str(error))
        return False
    return True


@cache
def _without_cache(why: str) -> None:
    """Log, once for each reason, that kernels are not kept."""
    log.warning(
        f"Kernels are compiled without a cache: {why}. Every start takes some seconds longer; set NUMBA_CACHE_DIR to "
        "a folder that only you can write to."
    )


class _Cache:
    """The cache of one kernel. What cannot be read is compiled again, and what cannot be written is not kept."""

    def __init__(self, of_numba: Any) -> None:
        self._cache = of_numba

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

    def load_overload(self, signature: Any, target: Any) -> Any:
        try:
            return self._cache.load_overload(signature, target)
        except BROKEN as error:
            self._begin_anew(error)
            return None

    def save_overload(self, signature: Any, result: Any) -> None:
        try:
            self._cache.save_overload(signature, result)
        except BROKEN as error:
            self._give_up(error)

    def _begin_anew(self, error: BaseException) -> None:
        """Empty a cache that cannot be read, so that the next start need not compile."""
        log.info(f"A kernel in {self._cache.cache_path} cannot be read ({_cause(error)}): it is compiled again.")
        try:
            self._cache.flush()
        except BROKEN as failure:
            self._give_up(failure)

    def _give_up(self, error: BaseException) -> None:
        self._cache.disable()
        _without_cache(f"{self._cache.cache_path} cannot be written ({_cause(error)})")


def compiled(**options: Any) -> Callable[[Function], Function]:
    """Compile a kernel at its first call and keep the result for the next process; it runs without the GIL."""
    numba = _numba()

    def decorate(function: Function) -> Function:
        kernel = numba.njit(nogil=True, error_model="numpy", **options)(function)
        if _is_kept() and hasattr(kernel, "enable_caching"):  # not where NUMBA_DISABLE_JIT leaves a function as it is
            _keep(kernel, numba.config)
        made: Function = kernel
        return made

    return decorate


def _keep(kernel: Any, config: Any) -> None:
    """Give a kernel its cache. The setting of other kernels in this process stays as it was."""
    before = config.CACHE_DIR
    try:
        if uses_own_folder():
            config.CACHE_DIR = str(kernel_folder())
        kernel.enable_caching()
    except (RuntimeError, OSError) as error:  # numba finds no place
        _without_cache(_cause(error))
        return
    finally:
        config.CACHE_DIR = before
    kernel._cache = _Cache(kernel._cache)  # numba has no other way to survive a cache that is full or cut off


def _cause(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
