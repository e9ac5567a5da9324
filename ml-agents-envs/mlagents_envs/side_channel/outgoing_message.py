"""A payload that is written value by value. All numbers are little-endian."""

from __future__ import annotations

import logging
import struct
from collections.abc import Sequence

from mlagents_envs.exception import UnitySideChannelException

log = logging.getLogger(__name__)


class OutgoingMessage:
    """A payload that is written value by value into `buffer`.

    A number that its type cannot hold raises UnitySideChannelException and leaves the buffer as it was.
    """

    def __init__(self) -> None:
        self.buffer = bytearray()

    def write_bool(self, b: bool) -> None:
        """Write a bool."""
        self.buffer += b"\1" if b else b"\0"

    def write_int32(self, i: int) -> None:
        """Write an int32."""
        self.buffer += _pack("<i", i)

    def write_float32(self, f: float) -> None:
        """Write a float32."""
        self.buffer += _pack("<f", f)

    def write_float32_list(self, float_list: Sequence[float]) -> None:
        """Write a list of float32."""
        count = len(float_list)
        self.buffer += _pack(f"<i{count}f", count, *float_list)

    def write_string(self, s: str) -> None:
        """Write ASCII text; other text raises UnicodeEncodeError."""
        if not s.isascii():
            at = next(at for at, letter in enumerate(s) if not letter.isascii())
            raise UnicodeEncodeError("ascii", s, at, at + 1, f"side channels carry ASCII only; write {s!r} without it")
        self.buffer += _pack("<i", len(s)) + s.encode("ascii")

    def set_raw_bytes(self, buffer: bytes | bytearray) -> None:
        """Make these bytes the whole payload."""
        if self.buffer:
            log.warning("a message of %d bytes is replaced by %d raw bytes", len(self.buffer), len(buffer))
        self.buffer = bytearray(buffer)


def _pack(form: str, *values: float) -> bytes:
    try:
        return struct.pack(form, *values)
    except (struct.error, OverflowError) as error:
        shown = ", ".join(repr(value) for value in values[:8])
        raise UnitySideChannelException(
            f"{shown} cannot be sent: {error}; side channels carry int32 and float32"
        ) from error
