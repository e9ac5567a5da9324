"""Which implementation of an example's physics is used: compiled where numba is installed, numpy elsewhere."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType


def choose(name: str) -> ModuleType:
    """Return the module with the kernels of an example; both kinds have the same functions and results."""
    kind = "numba" if find_spec("numba") else "numpy"
    return import_module(f"mlagents_envs.examples.{name}_{kind}")
