"""Protobuf's encoding, as far as the frame of a message needs it: fields of a buffer, and fields to a buffer.

https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_SIZES = {FIXED32: 4, FIXED64: 8}


class Malformed(ValueError):
    """These bytes are not a valid message."""


def read_varint(raw: memoryview, at: int) -> tuple[int, int]:
    """Return the number that begins at `at`, and where it ends."""
    number = shift = 0
    while True:
        if at >= len(raw) or shift > 63:
            raise Malformed("a number does not end")
        byte = raw[at]
        number |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return number, at
        shift += 7


def read_fields(raw: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """Yield (field number, number, bytes) of every field in turn.

    The number is that of a varint, -1 for any other kind; the bytes are those of text, bytes and messages, without a
    copy, and empty for any other kind. Raises Malformed.
    """
    at = 0
    while at < len(raw):
        tag, at = read_varint(raw, at)
        field, kind = tag >> 3, tag & 7
        if field == 0:
            raise Malformed("a field has no number")
        if kind == VARINT:
            value, at = read_varint(raw, at)
            yield field, value, raw[:0]
            continue
        if kind == LENGTH:
            size, at = read_varint(raw, at)
        elif kind in _SIZES:
            size = _SIZES[kind]
        else:
            raise Malformed(f"a field is of the unknown kind {kind}")
        if size > len(raw) - at:
            raise Malformed("a field is longer than its message")
        yield field, -1, raw[at : at + size] if kind == LENGTH else raw[:0]
        at += size


def varint(number: int) -> bytes:
    """Return a number from 0 to 2**64 - 1 as bytes."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def block(field: int, value: bytes) -> bytes:
    """Return bytes, text or a message as a field."""
    return varint(field << 3 | LENGTH) + varint(len(value)) + value
