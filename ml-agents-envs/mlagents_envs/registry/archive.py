"""Zip archives of builds."""

from __future__ import annotations

import shutil
import stat
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from mlagents_envs.exception import UnityEnvironmentException
from mlagents_envs.registry.limits import GIB, REMEDY, most_bytes
from mlagents_envs.registry.progress import Bar

MODE = 0o755  # zip archives made on Windows lack the permission to execute a player
MOST_ENTRIES = 200_000
MOST_RATIO = 200  # of unpacked to packed bytes; builds come out at 2 to 10
UNSUSPECTED = GIB  # bytes up to which any ratio is accepted: empty textures compress well
LONGEST_LINK = 4096  # bytes


def unpack(archive: Path, folder: Path, *, label: str) -> None:
    """Unpack into a folder, readable and executable for everyone.

    Raises BadZipFile for an archive that is damaged; UnityEnvironmentException, before anything is written, for one
    that is encrypted, has an entry outside the folder or a link to outside, or is too large.
    """
    try:
        with ZipFile(archive) as opened:
            entries = opened.infolist()
            for entry in entries:
                _check(entry, archive=archive, opened=opened)
            folder.mkdir(parents=True, exist_ok=True)
            _check_sizes(entries, archive=archive, folder=folder)
            bar = Bar(f"Unpacking {label}", sum(entry.file_size for entry in entries))
            for entry in entries:
                opened.extract(entry, folder)  # never more bytes than the entry's size
                bar.advance(entry.file_size)
    except (BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as error:
        raise BadZipFile(f"{archive} cannot be unpacked: {error}") from error
    for path in (folder, *folder.rglob("*")):
        path.chmod(MODE)


def _check(entry: ZipInfo, *, archive: Path, opened: ZipFile) -> None:
    name = entry.filename
    if _leads_away(name):
        raise UnityEnvironmentException(
            f"{archive}: the entry {name!r} would lie outside the folder of the build; do not trust this archive"
        )
    if entry.flag_bits & 1:
        raise UnityEnvironmentException(f"{archive}: the entry {name!r} is encrypted; give an archive without password")
    if entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise UnityEnvironmentException(
            f"{archive}: the entry {name!r} has the compression type {entry.compress_type}; "
            "make the archive with deflate"
        )
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind == stat.S_IFLNK:
        _check_link(entry, archive=archive, opened=opened)
    elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise UnityEnvironmentException(
            f"{archive}: the entry {name!r} is neither a file nor a folder; do not trust this archive"
        )


def _check_link(entry: ZipInfo, *, archive: Path, opened: ZipFile) -> None:
    """Raise for a link to outside the build; links inside are extracted as files with the target's name."""
    target = opened.read(entry).decode(errors="replace") if entry.file_size <= LONGEST_LINK else "/"
    path = PurePosixPath(entry.filename).parent
    for part in PurePosixPath(target).parts:
        if part == ".." and not path.parts:
            target = "/"
        path = path.parent if part == ".." else path / part
    if target.startswith("/") or PureWindowsPath(target).drive:
        raise UnityEnvironmentException(
            f"{archive}: the entry {entry.filename!r} is a link that leads outside the folder of the build; "
            "do not trust this archive"
        )


def _leads_away(name: str) -> bool:
    path = PureWindowsPath(name)  # also splits at /, and knows drives
    return bool(path.drive or path.root or ".." in path.parts)


def _check_sizes(entries: Sequence[ZipInfo], *, archive: Path, folder: Path) -> None:
    """Raise UnityEnvironmentException for an archive that would fill the disk, by its entries' sizes."""
    packed, unpacked = archive.stat().st_size, sum(entry.file_size for entry in entries)
    if len(entries) > MOST_ENTRIES:
        raise UnityEnvironmentException(
            f"{archive}: it has {len(entries)} entries; {MOST_ENTRIES} are the most. Do not trust this archive"
        )
    if unpacked > most_bytes():
        raise UnityEnvironmentException(f"{archive}: it unpacks to {unpacked / GIB:.1f} GiB; {REMEDY}")
    if unpacked > UNSUSPECTED and unpacked > MOST_RATIO * packed:
        raise UnityEnvironmentException(
            f"{archive}: {packed} bytes unpack to {unpacked}, {MOST_RATIO} times as many or more; no build does, so "
            "do not trust this archive"
        )
    if unpacked > (free := shutil.disk_usage(folder).free):
        raise UnityEnvironmentException(
            f"{archive}: it unpacks to {unpacked / GIB:.1f} GiB, and {folder} has {free / GIB:.1f} GiB left; "
            "make room, or give its entry another tmp_dir"
        )
