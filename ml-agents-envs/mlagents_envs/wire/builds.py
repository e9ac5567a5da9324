"""What a build of a scene is on disk: where each platform has its executable, and for which machine a file was made."""

from __future__ import annotations

import glob
import os
import platform
import shlex
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mlagents_envs.exception import UnityEnvironmentException
from mlagents_envs.names import nearest

SYSTEMS = {"linux": "Linux", "darwin": "macOS", "win32": "Windows"}  # sys.platform -> name of the system
ENDINGS = (".app", ".exe", ".x86_64", ".x86")
SHOWN = 8  # names of a folder that a message lists


def find_player(path: str | Path) -> Path:
    """Return the absolute path of the executable that `path` means on this platform, with or without its ending.

    Raises UnityEnvironmentException with what is there instead.
    """
    given = str(path).strip()
    if not given:
        raise UnityEnvironmentException("the path of the player is empty; give the path of a build")
    bare = _without_ending(Path(given).absolute())
    found = next(_players(bare, sys.platform), None)
    if found is None:
        raise UnityEnvironmentException(f"{given}: {_instead(bare, sys.platform)}")
    return found


def _without_ending(path: Path) -> Path:
    name = path.name
    while ending := next((ending for ending in ENDINGS if name.endswith(ending) and name != ending), ""):
        name = name.removesuffix(ending)
    return path.with_name(name) if name else path


def _players(bare: Path, system: str) -> Iterator[Path]:
    """Yield the files that may be the player of this name, the most likely first."""
    if not bare.name:
        return
    if system == "linux":
        for name in _names(bare, system):
            yield from _files(bare.with_name(name))
    elif system == "darwin":
        for bundle in _matching(bare.with_name(bare.name + ".app")):
            programs = bundle / "Contents" / "MacOS"
            yield from _files(programs / bundle.stem)
            yield from (file for file in sorted(programs.glob("*")) if file.is_file())
        if bare.parent.name == "MacOS":  # the executable inside a bundle was named itself
            yield from _files(bare)
    elif system == "win32":
        yield from _files(bare.with_name(bare.name + ".exe"))
        for folder in _matching(bare):
            yield from (file for file in sorted(folder.glob("*.exe")) if not _is_crash_handler(file))


def _names(bare: Path, system: str) -> list[str]:
    """Return how the player of this name is called on a platform."""
    endings = {"linux": (".x86_64", ".x86", ""), "darwin": (".app",), "win32": (".exe",)}
    return [bare.name + ending for ending in endings.get(system, ("",))] if bare.name else []


def _matching(pattern: Path) -> list[Path]:
    """Return what has exactly this name, or else what matches it as a pattern."""
    return [pattern] if pattern.exists() else [Path(match) for match in sorted(glob.glob(str(pattern)))]


def _files(pattern: Path) -> list[Path]:
    return [file for file in _matching(pattern) if file.is_file()]


def _is_crash_handler(file: Path) -> bool:
    return file.name.startswith("UnityCrashHandler")


def _players_in(folder: Path, system: str) -> list[Path]:
    """Return what is called like a player of a platform, or has a player's data beside it."""
    ending = {"linux": (".x86_64", ".x86"), "darwin": (".app",), "win32": (".exe",)}.get(system, ())
    return [
        entry
        for entry in sorted(folder.iterdir())
        if (entry.suffix in ending and not _is_crash_handler(entry))
        or (system == "linux" and entry.is_file() and _data(entry).is_dir())
    ]


def _data(executable: Path) -> Path:
    return executable.with_name(_without_ending(executable).name + "_Data")


def lacks_data(executable: Path) -> str | None:
    """Return a sentence if the folder is missing that Unity puts beside a program; a script may start another one."""
    made = made_for(executable)
    if made is None or made.system == "darwin" or _data(executable).is_dir():
        return None
    return (
        f"{executable} is without its folder {_data(executable).name}, and no Unity player starts without it; "
        "copy the whole build, and rename its parts together"
    )


# what is there instead


def _instead(bare: Path, system: str) -> str:
    """Return why there is no player of this name, and the most likely alternative."""
    here = SYSTEMS.get(system, system)
    for other in _others(system):
        found = next(_players(bare, other), None)
        made = made_for(found) if found else None
        if found and (made or found != bare):  # a file without ending and without a known beginning may be anything
            builder = SYSTEMS[made.system if made else other]
            return f"{found} is a {builder} build, and this is {here}; build the scene for {here}"
    if bare.is_dir():
        return _inside(bare, system)
    looked = f"no player of that name (looked for {' or '.join(_names(bare, system))} in {bare.parent})"
    if not bare.parent.is_dir():
        missing = next(folder for folder in reversed(bare.parents) if not folder.is_dir())
        return f"{looked}; there is no folder {missing}"
    known = {_without_ending(player).name: player for player in _players_in(bare.parent, system)}
    near = nearest(bare.name, known)
    return f"{looked}; did you mean {known[near[0]]}?" if near else f"{looked}; {_holds(bare.parent)}"


def _inside(folder: Path, system: str) -> str:
    """Return a sentence on the players that a folder holds."""
    if players := _players_in(folder, system):
        return f"is a folder; give the player in it: {' or '.join(str(player) for player in players)}"
    here = SYSTEMS.get(system, system)
    for other in _others(system):
        if players := _players_in(folder, other):
            return (
                f"is a folder with a {SYSTEMS[other]} build ({players[0].name}), and this is {here}; "
                f"build the scene for {here}"
            )
    return f"is a folder without a player; {_holds(folder)}"


def _others(system: str) -> list[str]:
    return [other for other in SYSTEMS if other != system]


def _holds(folder: Path) -> str:
    names = sorted(entry.name for entry in folder.iterdir())
    shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    return f"that folder holds {shown or 'nothing'}"


# for which machine


class Made(NamedTuple):
    """The platform that a program was built for."""

    system: str  # as in sys.platform
    processors: tuple[str, ...]


_ELF = {3: "x86", 40: "arm", 62: "x86_64", 183: "aarch64"}
_MACH = {0x00000007: "x86", 0x01000007: "x86_64", 0x0100000C: "aarch64"}
_PORTABLE = {0x014C: "x86", 0x8664: "x86_64", 0xAA64: "aarch64"}
_ALSO_CALLED = {"amd64": "x86_64", "arm64": "aarch64", "i386": "x86", "i686": "x86", "armv7l": "arm"}
_ALSO_RUNS = {  # processors whose programs another one runs, by itself or through the system's translation
    ("linux", "x86_64"): {"x86"},
    ("linux", "aarch64"): {"arm"},
    ("darwin", "aarch64"): {"x86_64"},
    ("win32", "x86_64"): {"x86"},
    ("win32", "aarch64"): {"x86", "x86_64"},
}


def made_for(file: Path) -> Made | None:
    """Return the platform and the processors of a program, None if its first bytes are those of no program."""
    with file.open("rb") as stream:
        head = stream.read(4096)
    try:
        return _made_for(head)
    except struct.error:  # it ends within its header
        return None


def _made_for(head: bytes) -> Made | None:
    if head.startswith(b"\x7fELF"):
        order = ">" if head[5:6] == b"\x02" else "<"
        return Made("linux", _named(_ELF, *struct.unpack_from(order + "H", head, 18)))
    if head.startswith((b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe")):
        return Made("darwin", _named(_MACH, *struct.unpack_from("<I", head, 4)))
    if head.startswith(b"\xca\xfe\xba\xbe"):  # several processors in one file
        (count,) = struct.unpack_from(">I", head, 4)
        kinds = (struct.unpack_from(">I", head, 8 + 20 * i)[0] for i in range(min(count, 8)))
        return Made("darwin", _named(_MACH, *kinds))
    if head.startswith(b"MZ"):
        (at,) = struct.unpack_from("<I", head, 0x3C)
        return Made("win32", _named(_PORTABLE, *struct.unpack_from("<H", head, at + 4)))
    return None


def _named(names: dict[int, str], *numbers: int) -> tuple[str, ...]:
    return tuple(names.get(number, f"processor {number:#x}") for number in numbers)


def wrong_file(executable: Path) -> str | None:
    """Return a sentence if this file cannot be run here, for its mode, its machine, or as no program at all."""
    if not executable.is_file():
        return f"{executable} is no file; give the path of a build"
    if sys.platform != "win32" and not os.access(executable, os.X_OK):
        if executable.stat().st_mode & 0o111:
            return f"{executable} may not be executed by this user or on this file system; copy the build elsewhere"
        return f"{executable} may not be executed; chmod +x {shlex.quote(str(executable))}"
    if not os.access(executable, os.R_OK):
        return None  # it can be started all the same
    made = made_for(executable)
    return _no_program(executable) if made is None else _wrong_machine(executable, made)


def _wrong_machine(executable: Path, made: Made) -> str | None:
    here = SYSTEMS.get(sys.platform, sys.platform)
    if made.system != sys.platform:
        return f"{executable} is a {SYSTEMS[made.system]} program, and this is {here}; build the scene for {here}"
    machine = platform.machine().lower()
    machine = _ALSO_CALLED.get(machine, machine)
    runs = {machine} | _ALSO_RUNS.get((made.system, machine), set())
    if machine and runs.isdisjoint(made.processors):
        return (
            f"{executable} is made for {' and '.join(made.processors)}, and this machine is {machine}; "
            f"build the scene for {machine}"
        )
    return None


def _no_program(executable: Path) -> str | None:
    with executable.open("rb") as stream:
        line = stream.readline(256)
    if line.startswith(b"#!"):
        words = line[2:].decode(errors="replace").strip(" \n").split(" ")
        if Path(words[0]).exists():
            return None
        return f"{executable} is a script for {words[0]!r}, which is not installed; install it or fix the first line"
    if not line:
        return f"{executable} is empty; copy the build again"
    if line.startswith(b"PK"):
        return f"{executable} is an archive; unpack it and give the player inside"
    return f"{executable} is no program: it begins with {line[:4]!r}; give the executable of a build"
