"""How scenes are shown and played: what an area looks like, which keys mean what, and how areas lie side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

from mlagents_envs.examples.drawing import Array, Drawing
from mlagents_envs.examples.example import ExampleEnv
from mlagents_envs.exception import UnityEnvironmentException


class Press(NamedTuple):
    """What holding a key means: a choice in a branch of discrete actions, or a value on a continuous axis."""

    discrete: bool
    which: int  # branch or axis
    value: float


def choose(branch: int, choice: int) -> Press:
    """Return what makes a choice in a branch."""
    return Press(True, branch, choice)


def steer(axis: int, value: float) -> Press:
    """Return what adds a value on an axis."""
    return Press(False, axis, value)


@dataclass(frozen=True)
class Look:
    """How a scene is shown and played. Keys: up, down, left, right, space, q, e; W, A, S and D mean the first four."""

    draw: Callable[[Any, int], Drawing]
    size: tuple[float, float]  # of one area along x and z, with some room around it
    keys: Mapping[str, Press] = field(default_factory=dict)  # empty: it cannot be played with keys
    seconds: float = 0.1  # from one decision to the next
    yaw: float = -20.0  # degrees: where one looks at first, 0 along z
    pitch: float = 40.0  # and how much down


def look_of(example: ExampleEnv) -> Look:
    """Return how an example looks; raises UnityEnvironmentException for one without a drawing."""
    module = f"mlagents_envs.examples.look.{type(example).__module__.rpartition('.')[2]}"
    if find_spec(module) is None:
        raise UnityEnvironmentException(
            f"builtin:{example.NAME}: there is no drawing of it, so it cannot be watched; add {module} with a LOOK"
        )
    look: Look = import_module(module).LOOK
    return look


def draw(example: ExampleEnv, areas: Sequence[int]) -> Drawing:
    """Return what these areas look like now, once there was a reset, beside each other around the origin.

    Raises UnityEnvironmentException if the scene cannot be drawn, IndexError if there is no such area.
    """
    for area in areas:
        if not 0 <= area < example.areas:
            raise IndexError(f"{example.NAME}: there is no area {area}; there are {example.areas}, from 0 on")
    look = look_of(example)
    offsets = layout(len(areas), look.size).tolist()
    return Drawing.together([look.draw(example, area).moved(x, z) for area, (x, z) in zip(areas, offsets, strict=True)])


def layout(n: int, size: tuple[float, float]) -> Array:
    """Return (n, 2) x and z of areas of this size in rows that make about a square, the first far and to the left."""
    width, depth = size
    columns = max(1, min(n, round(np.sqrt(n * depth / width * 1.6))))  # pictures are wider than high
    rows = -(-n // columns)
    columns = -(-n // rows)
    row, column = np.divmod(np.arange(n), columns)
    offsets: Array = np.stack([(column - (columns - 1) / 2) * width, ((rows - 1) / 2 - row) * depth], axis=1)
    return offsets
