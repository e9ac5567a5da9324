"""Zip archives of builds."""

from __future__ import annotations

import zlib
from pathlib import Path, PureWindowsPath
from zipfile import BadZipFile, ZipFile

from mlagents_envs.exception import UnityEnvironmentException
from mlagents_envs.registry.progress import Bar

MODE = 0o755  # zip archives made on Windows do not say that a player may be executed


def unpack(archive: Path, folder: Path, *, label: str) -> None:
    """Unpack into a folder, and let everybody read and execute what was in it.

    Raises BadZipFile for an archive that is damaged; UnityEnvironmentException, before anything is written, for one
    that is encrypted or has an entry that would lie outside the folder.
    """
    try:
        with ZipFile(archive) as opened:
            entries = opened.infolist()
            for entry in entries:
                _check(entry.filename, encrypted=bool(entry.flag_bits & 1), archive=archive)
            folder.mkdir(parents=True, exist_ok=True)
            bar = Bar(f"Unpacking {label}", sum(entry.file_size for entry in entries))
            for entry in entries:
                opened.extract(entry, folder)
                bar.advance(entry.file_size)
    except (BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as error:
        raise BadZipFile(f"{archive} cannot be unpacked: {error}") from error
    for path in (folder, *folder.rglob("*")):
        path.chmod(MODE)


def _check(entry: str, *, encrypted: bool, archive: Path) -> None:
    path = PureWindowsPath(entry)  # also splits at /, and knows drives: what Windows would refuse, nobody needs
    if path.drive or path.root or ".." in path.parts:
        raise UnityEnvironmentException(
            f"{archive}: the entry {entry!r} would lie outside the folder of the build; do not trust this archive"
        )
    if encrypted:
        raise UnityEnvironmentException(
            f"{archive}: the entry {entry!r} is encrypted; give an archive without password"
        )
