"""Which implementation of the small networks' arithmetic is used: compiled where numba is installed, else numpy's."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType


@cache
def kernels() -> ModuleType:
    """Return the module; both have the same functions, equal within rounding."""
    return import_module(f"mlagents.nn.kernels_{'numba' if find_spec('numba') else 'numpy'}")
