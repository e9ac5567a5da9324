"""The records of several channels in one byte string: 16 bytes of channel id, an int32 length, the payload."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from uuid import UUID

from mlagents_envs.exception import UnityEnvironmentException

HEADER = struct.Struct("<16si")  # the id in the byte order of a .NET Guid, which is `UUID.bytes_le`


def frame(channel: UUID, payload: bytes | bytearray) -> bytes:
    """Return the record that carries a payload."""
    return HEADER.pack(channel.bytes_le, len(payload)) + payload


def records(blob: bytes | bytearray) -> list[tuple[UUID, bytes]]:
    """Return the channel and payload of every record, in their order.

    Raises UnityEnvironmentException for bytes that are no whole number of records.
    """
    return list(read_records(blob))


def read_records(blob: bytes | bytearray) -> Iterator[tuple[UUID, bytes]]:
    """Yield what `records` returns, one record at a time to save memory, after checking that the bytes are whole."""
    for _ in _headers(blob):
        pass
    for identifier, at, size in _headers(blob):
        yield UUID(bytes_le=identifier), bytes(blob[at : at + size])


def _headers(blob: bytes | bytearray) -> Iterator[tuple[bytes, int, int]]:
    """Yield the id of every record, where its payload begins, and how many bytes that has."""
    at, end = 0, len(blob)
    while at < end:
        if end - at < HEADER.size:
            raise UnityEnvironmentException(
                f"side channels: {end - at} bytes are left where a header takes {HEADER.size}; "
                "check that the versions of the player and of this package belong together"
            )
        identifier, size = HEADER.unpack_from(blob, at)
        at += HEADER.size
        if not 0 <= size <= end - at:
            raise UnityEnvironmentException(
                f"side channel {UUID(bytes_le=identifier)}: a payload of {size} bytes is announced where "
                f"{end - at} are left; check that the versions of the player and of this package belong together"
            )
        yield identifier, at, size
        at += size
