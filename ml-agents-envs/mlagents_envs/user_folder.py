"""Private folders of the user for caches: compiled kernels and builds, which are executed as the user."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from mlagents_envs.exception import UnityEnvironmentException

PRIVATE = 0o700
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def cache_root() -> Path:
    """Return the user's cache folder, as the platform has it; creates nothing.

    Raises UnityEnvironmentException if the user has no home folder.
    """
    try:
        if sys.platform == "win32":
            given = os.environ.get("LOCALAPPDATA", "")
            return Path(given) if Path(given).is_absolute() else Path.home() / "AppData" / "Local"
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Caches"
        given = os.environ.get("XDG_CACHE_HOME", "")
        return Path(given) if Path(given).is_absolute() else Path.home() / ".cache"
    except RuntimeError as error:
        raise UnityEnvironmentException(f"there is no folder for caches ({error}); set HOME to a folder") from error


def cache_path(name: str) -> Path:
    """Return the folder of this package's cache of this name; creates nothing."""
    return cache_root() / "mlagents" / name


def private_cache(name: str) -> Path:
    """Return the folder of a cache, which only this user can write to; create it if it does not exist.

    Raises UnityEnvironmentException if it cannot be created, or another user could write there.
    """
    folder = cache_path(name)
    try:
        folder.parent.parent.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        for made in (folder.parent, folder):
            made.mkdir(mode=PRIVATE, exist_ok=True)
            if (reason := distrusted(made)) is not None:
                raise UnityEnvironmentException(reason)
    except OSError as error:
        raise UnityEnvironmentException(f"{folder} cannot be made ({error.strerror or error})") from error
    return folder


def distrusted(folder: Path) -> str | None:
    """Return why another user could have written to a folder, None if none could."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        return f"{folder} is a link or no folder, so that another user may control its contents; remove it"
    if sys.platform == "win32":
        return None  # who may write there follows from the user's profile
    if found.st_uid != os.geteuid():
        return f"{folder} belongs to user {found.st_uid}, not to user {os.geteuid()} who runs this; remove it"
    if found.st_mode & OTHERS_WRITE:
        return f"others can write to {folder}; run: chmod 700 {folder}, and delete its contents"
    above = folder.parent.stat()
    if above.st_mode & stat.S_IWOTH and not above.st_mode & stat.S_ISVTX:
        return f"everybody can write to {folder.parent}, and so replace {folder.name}; run: chmod o-w {folder.parent}"
    return None
