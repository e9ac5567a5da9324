"""Encodes the messages to players: from columns to bytes, by one template for each number of agents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlagents_envs.base_env import ActionSpec, ActionTuple
from mlagents_envs.communicator_objects.unity_rl_initialization_input_pb2 import UnityRLInitializationInputProto
from mlagents_envs.wire.fields import VARINT, block, varint

Array = NDArray[Any]
WELL, CLOSING = 200, 400  # status of a message
RESET = varint(4 << 3 | VARINT) + varint(1)  # the command field; a message without it is a step
DEPRECATED, CONTINUOUS, DISCRETE = 1, 6, 7  # fields of an agent's action


class ActionWriter:
    """Turns the actions of one behavior from columns to bytes."""

    def __init__(self, behavior: str, spec: ActionSpec, *, deprecated: bool = False) -> None:
        """deprecated: also write the field that players older than protocol 1.3 read."""
        self._key = block(1, behavior.encode())
        self._spec = spec
        self._deprecated = deprecated
        self._templates: dict[tuple[int, int], tuple[Array, int, int]] = {}

    def write(self, action: ActionTuple) -> bytes:
        """Return the entry of this behavior for `rl_input`; n agents in the order of their decision steps."""
        n, branches = action.discrete.shape
        width = _width(action.discrete)
        if (n, width) not in self._templates:
            self._templates[n, width] = self._template(n, width)
        rows, continuous, discrete = self._templates[n, width]
        rows = rows.copy()
        if size := self._spec.continuous_size:
            rows[:, continuous : continuous + 4 * size] = _bytes(action.continuous)
        if branches:
            rows[:, discrete : discrete + width * branches] = _varints(action.discrete, width)
        if self._deprecated:
            both = np.hstack([action.continuous, action.discrete.astype(np.float32)])
            start = rows.shape[1] - 4 * both.shape[1]
            rows[:, start:] = _bytes(both)
        return block(1, self._key + block(2, rows.tobytes()))

    def _template(self, n: int, width: int) -> tuple[Array, int, int]:
        """Return (n, length) uint8 rows without their numbers, and where continuous and discrete ones begin."""
        action = block(CONTINUOUS, bytes(4 * self._spec.continuous_size)) if self._spec.continuous_size else b""
        after_continuous = len(action)
        action += block(DISCRETE, bytes(width * self._spec.discrete_size)) if self._spec.discrete_size else b""
        after_discrete = len(action)
        if self._deprecated:
            action += block(DEPRECATED, bytes(4 * (self._spec.continuous_size + self._spec.discrete_size)))
        row = np.frombuffer(block(1, action), np.uint8)
        before = len(row) - len(action)
        continuous = before + after_continuous - 4 * self._spec.continuous_size
        discrete = before + after_discrete - width * self._spec.discrete_size
        return np.tile(row, (n, 1)), continuous, discrete


def command(actions: Iterable[bytes], side_channel: bytes, *, reset: bool = False) -> bytes:
    """Return the message that takes a step, or resets the scene."""
    rl_input = b"".join(actions) + (RESET if reset else b"") + block(5, side_channel)
    return _message(WELL, block(1, rl_input))


def handshake_reply(initialization: UnityRLInitializationInputProto) -> bytes:
    """Return the message that answers a player's first."""
    return _message(WELL, block(2, initialization.SerializeToString()))


def closing() -> bytes:
    """Return the message that closes the connection."""
    return block(1, varint(1 << 3 | VARINT) + varint(CLOSING))


def _message(status: int, unity_input: bytes) -> bytes:
    return block(1, varint(1 << 3 | VARINT) + varint(status)) + block(3, unity_input)


def _bytes(numbers: Array) -> Array:
    """Return (n, size) float32 as (n, 4 size) bytes."""
    return np.ascontiguousarray(numbers, "<f4").view(np.uint8)


def _width(numbers: Array) -> int:
    """Return how many bytes the longest varint takes."""
    if not numbers.size:
        return 1
    if int(numbers.min()) < 0:
        return 10
    return max(1, -(-int(numbers.max()).bit_length() // 7))


def _varints(numbers: Array, width: int) -> Array:
    """Return (n, size) whole numbers as (n, width size) bytes.

    Shorter ones are filled up with groups of zeros, which every parser of varints takes.
    """
    groups = numbers.astype(np.int64)[..., None] >> np.minimum(7 * np.arange(width), 63)
    groups &= np.where(np.arange(width) < 9, 0x7F, 0x01)  # the tenth group of a negative number holds its last bit
    groups[..., :-1] |= 0x80
    return groups.astype(np.uint8).reshape(len(numbers), width * numbers.shape[1])
