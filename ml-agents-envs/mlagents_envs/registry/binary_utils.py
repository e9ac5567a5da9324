"""Fetches and unpacks builds, and finds the players in them."""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
import time
from pathlib import Path
from uuid import uuid4
from zipfile import BadZipFile

from filelock import FileLock

from mlagents_envs.exception import UnityEnvironmentException
from mlagents_envs.registry.archive import MODE, unpack
from mlagents_envs.registry.download import FAILURES, cause, download, is_final
from mlagents_envs.registry.location import is_remote, local_path
from mlagents_envs.user_folder import private_cache

PATTERNS = {"linux": "*.x86_64", "darwin": "*.app", "win32": "*.exe"}
NO_PLAYER = "UnityCrashHandler64"  # is beside players and has their ending
PAUSES = (0.0, 0.5, 1.0, 1.5, 2.0)  # seconds before each attempt
TIMEOUT = 30.0  # seconds without an answer


def get_local_binary_path(name: str, url: str, *, tmp_dir: str | Path | None = None) -> str:
    """Return the player of a url, which is fetched and unpacked unless it was before.

    tmp_dir: where archives are kept unpacked, instead of a folder that only this user can write to. Raises
    FileNotFoundError if there is no player, UnityEnvironmentException if it cannot be fetched, or the user's folder
    cannot be trusted.
    """
    source = None if is_remote(url) else local_path(url)
    if source is None or source.suffix.lower() == ".zip":
        if source is not None:
            if not source.is_file():
                raise FileNotFoundError(f"{name}: there is no archive {source}; check the path")
            url = str(source.absolute())  # a relative path depends on the working directory
        root = _root(name, tmp_dir)
        try:
            player = _unpacked(name, url, root=root)
        except OSError as error:
            raise UnityEnvironmentException(
                f"{name}: the build cannot be stored below {root} ({error}); give its entry another tmp_dir"
            ) from error
    elif source.is_dir() and source.suffix != ".app":
        player = find_player(source)
    else:
        player = source if _is_valid(source) else None
    if player is None:
        raise FileNotFoundError(
            f"{name}: there is no player for {sys.platform} at {url}; "
            f"name an archive, a folder or an executable with {_pattern()}"
        )
    return str(player)


def find_player(folder: Path) -> Path | None:
    """Return the player that is least deep in a folder."""
    found = [path for path in folder.rglob(_pattern()) if NO_PLAYER not in path.name]
    return min(found, key=lambda path: (len(path.parts), path), default=None)


def _unpacked(name: str, url: str, *, root: Path) -> Path | None:
    """Return the player in the unpacked archive; other processes wait until it is unpacked."""
    root.mkdir(mode=MODE, parents=True, exist_ok=True)
    file_name = re.sub(r"[^\w. -]", "_", name)  # a name in a manifest must not lead to another folder
    folder = root / "ml-agents-binaries" / "binaries" / f"{file_name}-{_digest(url)}"
    with FileLock(root / f"{file_name}.lock"):
        player = None if _is_older(folder, url) else find_player(folder)
        if player is not None and _is_valid(player):
            return player
        _install(name, url, folder)
        return find_player(folder)


def _install(name: str, url: str, folder: Path) -> None:
    """Unpack an archive into a folder atomically."""
    staging = folder.parents[1] / "tmp"
    for needed in (staging, folder.parent):
        needed.mkdir(mode=MODE, parents=True, exist_ok=True)
    unfinished = staging / str(uuid4())
    try:
        if is_remote(url):
            _fetch(name, url, unfinished)
        else:
            _unpack_own(name, local_path(url), unfinished)
        if folder.exists():
            shutil.rmtree(folder)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _fetch(name: str, url: str, folder: Path) -> None:
    failure: Exception | None = None
    for pause in PAUSES:
        time.sleep(pause)
        failure = _attempt(name, url, folder)
        if failure is None:
            return
        if is_final(failure):
            break
    raise UnityEnvironmentException(
        f"{name}: {url} could not be fetched: {cause(failure)}; "
        "check the url and the network, or register a path on this machine"
    ) from failure


def _attempt(name: str, url: str, folder: Path) -> Exception | None:
    """Fetch and unpack once; return the error if another attempt may succeed."""
    archive = folder.with_suffix(".zip")
    try:
        download(url, archive, label=name, timeout=TIMEOUT)
        unpack(archive, folder, label=name)
    except (*FAILURES, BadZipFile) as error:
        shutil.rmtree(folder, ignore_errors=True)
        return error
    finally:
        archive.unlink(missing_ok=True)
    return None


def _unpack_own(name: str, archive: Path, folder: Path) -> None:
    try:
        unpack(archive, folder, label=name)
    except BadZipFile as error:
        raise UnityEnvironmentException(f"{name}: {error}; make the archive again") from error


def _is_older(folder: Path, url: str) -> bool:
    """Return whether a local archive has changed since it was unpacked."""
    if is_remote(url) or not folder.is_dir():
        return False
    return local_path(url).stat().st_mtime > folder.stat().st_mtime


def _is_valid(player: Path) -> bool:
    from mlagents_envs.env_utils import validate_environment_path  # here, because only making a player needs it

    return validate_environment_path(str(player)) is not None


def _root(name: str, tmp_dir: str | Path | None) -> Path:
    if tmp_dir is not None:
        return Path(tmp_dir)
    try:
        return private_cache("builds")
    except UnityEnvironmentException as error:
        raise UnityEnvironmentException(f"{name}: {error}; or give its entry a tmp_dir") from error


def _digest(url: str) -> str:
    return hashlib.md5(url.encode(), usedforsecurity=False).hexdigest()


def _pattern() -> str:
    return PATTERNS.get(sys.platform, "*.x86_64")
