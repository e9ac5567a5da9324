"""Calls of third-party environments: exceptions and wrong return values become errors that name the place."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from mlagents_envs.exception import UnityEnvironmentException, UnityException

log = logging.getLogger(__name__)
RESET, STEP = ("observation", "info"), ("observation", "reward", "terminated", "truncated", "info")
LIBRARIES = ("site-packages", "dist-packages")  # code that is rarely the cause of an error


@contextmanager
def calling(place: str, what: str, *, but: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turn what a call raises into UnityEnvironmentException; the log has the whole traceback at DEBUG.

    place: the environment, and which copy of it. but: exceptions that are passed on unchanged.
    """
    known: tuple[type[Exception], ...] = (UnityException, *but)
    try:
        yield
    except known:
        raise
    except Exception as error:
        log.debug("".join(traceback.format_exception(error)))
        cause = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        if isinstance(error, TypeError) and "'seed'" in str(error):
            raise UnityEnvironmentException(f"{place}: reset() takes no seed. {_old_interface()}") from error
        raise UnityEnvironmentException(f"{place}: {what} raised {cause}{_where(error)}") from error


def after_reset(result: Any, place: str) -> tuple[Any, Mapping[Any, Any]]:
    """Return (observation, info); raises UnityEnvironmentException if that is not what `reset` returned."""
    if not isinstance(result, tuple) or len(result) != len(RESET) or not isinstance(result[1], Mapping):
        raise _other("reset", result, RESET, place)
    return result


def after_step(result: Any, place: str) -> tuple[Any, Any, Any, Any, Mapping[Any, Any]]:
    """Return (observation, reward, terminated, truncated, info); raises as `after_reset` does."""
    if not isinstance(result, tuple) or len(result) != len(STEP) or not isinstance(result[4], Mapping):
        raise _other("step", result, STEP, place)
    return result


def as_reward(value: Any, place: str) -> float:
    """Return a reward as a float; raises UnityEnvironmentException unless it is exactly one number."""
    if isinstance(value, (float, int)):
        return float(value)
    number = np.asarray(value)
    if number.size != 1 or number.dtype.kind not in "biuf":
        raise UnityEnvironmentException(f"{place}: its reward is {_short(value)}; a reward is one number")
    return float(number.reshape(()))


def as_flag(value: Any, what: str, place: str) -> bool:
    """Return a flag as a bool; raises UnityEnvironmentException unless it is one boolean or number."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    flag = np.asarray(value)
    if flag.size != 1 or flag.dtype.kind not in "biuf":
        raise UnityEnvironmentException(f"{place}: {what} is {_short(value)}; it must be True or False")
    return bool(flag.reshape(()))


def _other(method: str, result: Any, expected: tuple[str, ...], place: str) -> UnityEnvironmentException:
    got = f"{len(result)} values" if isinstance(result, tuple) else f"a {type(result).__name__}"
    return UnityEnvironmentException(
        f"{place}: {method}() returned {got}, not ({', '.join(expected)}). {_old_interface()}"
    )


def _old_interface() -> str:
    return (
        "Environments written for gym before 0.26 do so: let reset(seed=...) return (observation, info) and step five "
        "values, or wrap it with shimmy: pip install shimmy"
    )


def _where(error: BaseException) -> str:
    """Return the innermost line of the environment's own code in a traceback."""
    frames = traceback.extract_tb(error.__traceback__)[1:]  # the first is our own
    own = [frame for frame in frames if not any(library in frame.filename for library in LIBRARIES)]
    last = next(reversed(own or frames), None)
    return "" if last is None else f" ({last.filename}:{last.lineno} in {last.name})"


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."
