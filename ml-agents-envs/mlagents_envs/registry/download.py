"""Reads http urls into memory or into a file."""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from mlagents_envs.exception import UnityEnvironmentException
from mlagents_envs.registry.limits import GIB, REMEDY, most_bytes
from mlagents_envs.registry.progress import Bar

BLOCK = 8192  # bytes read at once
FAILURES = (URLError, http.client.HTTPException, ConnectionError, TimeoutError)  # a second attempt may succeed


def read(url: str, *, limit: int, timeout: float) -> bytes:
    """Return up to `limit` bytes. Raises UnityEnvironmentException for more, for a failure or a timeout."""
    try:
        with _answer(url, timeout=timeout) as response:
            data: bytes = response.read(limit + 1)
    except FAILURES as error:
        raise UnityEnvironmentException(f"{url} cannot be read: {cause(error)}") from error
    if len(data) > limit:
        raise UnityEnvironmentException(f"{url} is larger than {limit} bytes, which no manifest needs")
    return data


def download(url: str, file: Path, *, label: str, timeout: float) -> None:
    """Write a new file. Raises one of FAILURES, also if fewer bytes arrive than were announced.

    Raises UnityEnvironmentException if more are announced, or arrive, than are taken.
    """
    limit = most_bytes()
    with _answer(url, timeout=timeout) as response, file.open("wb") as out:
        announced = getattr(response, "length", None) or 0
        bar, arrived = Bar(f"Downloading {label}", announced), 0
        if announced > limit:
            raise UnityEnvironmentException(f"{url} is {announced / GIB:.1f} GiB large; {REMEDY}")
        while block := response.read(BLOCK):
            arrived += len(block)
            if arrived > limit:
                raise UnityEnvironmentException(f"{url} is larger than {limit / GIB:.1f} GiB; {REMEDY}")
            out.write(block)
            bar.advance(len(block))
    if arrived < announced:
        raise ConnectionError(f"the connection ended after {arrived} of {announced} bytes")


def _answer(url: str, *, timeout: float) -> Any:
    try:
        return urlopen(url, timeout=timeout)
    except HTTPError as error:
        error.close()  # it holds the connection
        raise


def is_final(error: Exception) -> bool:
    """Return whether the server refused the request, so that another attempt would fail too."""
    return isinstance(error, HTTPError) and 400 <= error.code < 500 and error.code not in (408, 429)


def cause(error: Exception | None) -> str:
    """Return the cause of a failure in few words."""
    if isinstance(error, HTTPError):
        return f"the server answers {error.code} {error.reason}"
    return str(error.reason) if isinstance(error, URLError) else str(error) or type(error).__name__
