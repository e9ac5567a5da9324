"""Files that are there whole or not at all, whatever happens while they are written."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Let `write` fill a file that takes the place of `path` once it is safe on disk; raises OSError.

    Its folder is made if it is not there: somebody may have moved it since the run began.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(beside, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        with suppress(OSError):  # the first failure is the one that is raised
            beside.unlink(missing_ok=True)
        raise
    _settle(path.parent)


def write_text_atomically(path: Path, text: str) -> None:
    """Write text as UTF-8, whole or not at all."""
    write_atomically(path, lambda file: void(file.write(text.encode("utf-8"))))


def void(_: object) -> None:
    """Drop a result."""


def _settle(folder: Path) -> None:
    """Make the new name survive a power cut, where folders can be synced."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
