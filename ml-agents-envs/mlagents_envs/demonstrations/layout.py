"""The bytes of a demonstration file (`.demo`).

A file has 33 bytes for its metadata, then the behavior's parameters, then one record per decision, each message behind
its length. Unity appends a second, bare copy of the metadata when it closes a file, so reading stops after as many
records as the metadata says.
"""

from __future__ import annotations

from pathlib import Path

from google.protobuf.message import DecodeError, Message

from mlagents_envs.communicator_objects.demonstration_meta_pb2 import DemonstrationMetaProto
from mlagents_envs.exception import DemonstrationException
from mlagents_envs.wire.fields import varint

SUFFIX = ".demo"
HEADER = 33  # bytes before the behavior's parameters
API_VERSIONS = (0, 1)


class CutShort(DemonstrationException):
    """A file ends in the middle of a message."""


def metadata(data: bytes, path: Path) -> DemonstrationMetaProto:
    """Return the metadata that a file begins with; raises DemonstrationException for an unknown version."""
    meta = DemonstrationMetaProto()
    parse(meta, data, 0, path)
    if meta.api_version not in API_VERSIONS:
        raise DemonstrationException(f"{path} has version {meta.api_version}; only 0 and 1 are known")
    return meta


def parse(message: Message, data: bytes, place: int, path: Path) -> int:
    """Read a message behind its length at `place`; return where the next one begins. Raises CutShort at the end."""
    length, shift = 0, 0
    while True:
        if place >= len(data):
            raise CutShort(f"{path} ends too early: it was cut, or its recording never finished")
        byte = data[place]
        place += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
        if shift > 35:
            raise DemonstrationException(f"{path} is damaged at byte {place}")
    if place + length > len(data):
        raise CutShort(f"{path} ends too early: it was cut, or its recording never finished")
    try:
        message.ParseFromString(data[place : place + length])
    except DecodeError as error:
        raise DemonstrationException(f"{path} is damaged at byte {place}: {error}") from error
    return place + length


def delimited(message: Message) -> bytes:
    """Return a message behind its length."""
    body: bytes = message.SerializeToString()
    return varint(len(body)) + body


def header(meta: DemonstrationMetaProto) -> bytes:
    """Return the 33 bytes that a file begins with.

    Beside very large numbers there is no room for a name of 16 letters: it is shortened, in `meta` as well.
    """
    while len(delimited(meta)) > HEADER:
        meta.demonstration_name = meta.demonstration_name[:-1]
    return delimited(meta).ljust(HEADER, b"\0")
