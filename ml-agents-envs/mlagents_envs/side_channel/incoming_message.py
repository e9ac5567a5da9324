"""A payload that is read value by value. All numbers are little-endian."""

from __future__ import annotations

import struct
from typing import Any

from mlagents_envs.exception import UnitySideChannelException


class IncomingMessage:
    """Values in the order in which they were written; past the last one, a reading returns its default.

    All readings raise UnitySideChannelException for a payload that ends inside a value.
    """

    def __init__(self, buffer: bytes | bytearray, offset: int = 0) -> None:
        self.buffer = buffer
        self.offset = offset  # of the next value

    def read_bool(self, default_value: bool = False) -> bool:
        """Return a bool."""
        return default_value if self._at_end() else bool(self._number("?", "a bool"))

    def read_int32(self, default_value: int = 0) -> int:
        """Return an int32."""
        return default_value if self._at_end() else int(self._number("i", "an int32"))

    def read_float32(self, default_value: float = 0.0) -> float:
        """Return a float32."""
        return default_value if self._at_end() else float(self._number("f", "a float32"))

    def read_float32_list(self, default_value: list[float] | None = None) -> list[float]:
        """Return a list of float32."""
        if self._at_end():
            return [] if default_value is None else default_value
        count = self._number("i", "the length of a list")
        at = self._take(count, 4, "float32")
        return list(struct.unpack_from(f"<{count}f", self.buffer, at))

    def read_string(self, default_value: str = "") -> str:
        """Return ASCII text; other text raises UnitySideChannelException."""
        if self._at_end():
            return default_value
        count = self._number("i", "the length of a string")
        at = self._take(count, 1, "letters")
        text = bytes(self.buffer[at : at + count])
        if not text.isascii():
            raise UnitySideChannelException(f"byte {at}: the string {text!r} is not ASCII; the player must send ASCII")
        return text.decode("ascii")

    def get_raw_bytes(self) -> bytearray:
        """Return the whole payload, however much of it was read."""
        return bytearray(self.buffer)

    def _at_end(self) -> bool:
        return self.offset >= len(self.buffer)

    def _number(self, kind: str, name: str) -> Any:
        number = struct.Struct(f"<{kind}")
        left = len(self.buffer) - self.offset
        if left < number.size:
            raise UnitySideChannelException(
                f"byte {self.offset}: {name} takes {number.size} bytes and {left} are left; "
                "read the values in the order in which the other side writes them"
            )
        (value,) = number.unpack_from(self.buffer, self.offset)
        self.offset += number.size
        return value

    def _take(self, count: int, size: int, name: str) -> int:
        """Move past `count` values of `size` bytes and return where they begin."""
        at = self.offset
        left = len(self.buffer) - at
        if not 0 <= count * size <= left:
            raise UnitySideChannelException(
                f"byte {at}: {count} {name} are announced and {left} bytes are left; "
                "read the values in the order in which the other side writes them"
            )
        self.offset = at + count * size
        return at
