"""How records of many channels share one run of bytes: 16 bytes of channel id, an int32 length, the payload."""

from __future__ import annotations

import struct
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
    found, at, end = [], 0, len(blob)
    while at < end:
        if end - at < HEADER.size:
            raise UnityEnvironmentException(
                f"side channels: {end - at} bytes are left where a header takes {HEADER.size}; "
                "check that the player and this package speak the same version"
            )
        identifier, size = HEADER.unpack_from(blob, at)
        channel, at = UUID(bytes_le=identifier), at + HEADER.size
        if not 0 <= size <= end - at:
            raise UnityEnvironmentException(
                f"side channel {channel}: a payload of {size} bytes is announced where {end - at} are left; "
                "check that the player and this package speak the same version"
            )
        found.append((channel, bytes(blob[at : at + size])))
        at += size
    return found
