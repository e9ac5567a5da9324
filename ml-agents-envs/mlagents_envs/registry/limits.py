"""The size limit of builds from other machines."""

from __future__ import annotations

import math
import os

from mlagents_envs.exception import UnityEnvironmentException

GIB = 2**30  # bytes
SETTING = "MLAGENTS_MAX_BUILD_GIB"
DEFAULT = 32.0  # GiB
REMEDY = f"if you trust it, raise the limit with the environment variable {SETTING}"


def most_bytes() -> int:
    """Return the limit of one build in bytes, packed and unpacked, from the environment variable.

    Raises UnityEnvironmentException for a setting that is no positive number.
    """
    given = os.environ.get(SETTING) or str(DEFAULT)
    try:
        number = float(given)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise UnityEnvironmentException(f"{SETTING} is {given!r}; give the GiB of the largest build, such as 64")
    return int(number * GIB)
