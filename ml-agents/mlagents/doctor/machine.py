"""Checks of this machine: versions, other packages under our names, torch, caches, ports, display. Light to import."""

from __future__ import annotations

import importlib.metadata as metadata
import os
import platform
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path

OURS = {"mlagents": "learn.py", "mlagents_envs": "wire/launch.py"}  # package -> a file that only ours has
NEEDED = (
    "numpy",
    "protobuf",
    "grpcio",
    "pillow",
    "psutil",
    "pyyaml",
    "filelock",
    "pydantic",
    "rich",
    "onnx",
    "tensorboard",
)
OLDEST, NEWEST = (3, 11), (3, 14)  # Python
EDITOR_PORT = 5004


class Level(Enum):
    """How much a finding matters."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """What a check found; unless all is well, the text says what to do."""

    level: Level
    text: str


def ok(text: str) -> Finding:
    """Return a finding that needs no action."""
    return Finding(Level.OK, text)


def warning(text: str) -> Finding:
    """Return a finding that may matter."""
    return Finding(Level.WARNING, text)


def problem(text: str) -> Finding:
    """Return a finding that stops a run."""
    return Finding(Level.PROBLEM, text)


def attempt(check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield what a check finds; a package that it needs and that cannot be imported is a finding too."""
    try:
        yield from check()
    except ImportError as error:
        missing = error.name or "a package"
        yield problem(f"{missing} cannot be imported ({error}); install it: pip install --upgrade mlagents")


def check_machine(*, base_port: int, no_graphics: bool) -> Iterator[Finding]:
    """Yield the state of this machine."""
    for check in (check_python, check_packages, check_shadowing, check_torch, check_kernels):
        yield from attempt(check)
    for port in dict.fromkeys((EDITOR_PORT, base_port)):
        yield from attempt(partial(check_port, port))
    yield from attempt(partial(check_display, no_graphics=no_graphics))


def check_python() -> list[Finding]:
    """Is this Python one that we are tested with?"""
    text = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {sys.executable}"
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return [ok(text)]
    known = f"{'.'.join(map(str, OLDEST))} to {'.'.join(map(str, NEWEST))}"
    return [warning(f"{text}; nothing is tested with it: use Python {known}")]


def check_packages() -> list[Finding]:
    """Are all packages installed, and ours of one release?"""
    versions = {name: version_of(name) for name in ("mlagents", "mlagents-envs", *NEEDED)}
    found = [ok(", ".join(f"{name} {version}" for name, version in versions.items() if version))]
    if missing := [name for name, version in versions.items() if version is None]:
        found.append(problem(f"{' and '.join(missing)} not installed; pip install {' '.join(missing)}"))
    ours = (versions["mlagents"], versions["mlagents-envs"])
    if None not in ours and ours[0] != ours[1]:
        found.append(
            problem(
                f"mlagents {ours[0]} and mlagents-envs {ours[1]} are of different releases; "
                f"pip install mlagents-envs=={ours[0]}"
            )
        )
    return found


def version_of(distribution: str) -> str | None:
    """Return which version is installed, None if there is none."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def check_shadowing(path: Sequence[str] | None = None) -> list[Finding]:
    """Is another package imported under our names, or could it be?

    path: where Python looks for packages, sys.path if None. The working directory is looked at too.
    """
    places = [Path(place or ".") for place in (sys.path if path is None else path)]
    found = []
    for name, mark in OURS.items():
        folders = dict.fromkeys((place / name).resolve() for place in [*places, Path(".")])
        copies = [folder for folder in folders if (folder / "__init__.py").is_file()]
        for rank, copy in enumerate(copies):
            if not (copy / mark).is_file():
                found.append(_shadowing(name, copy, hidden=rank > 0))
            elif rank > 0:
                found.append(warning(f"{copy} is a second {name} beside {copies[0]}; remove the one that is not meant"))
    return found or [ok("no other package has the name mlagents or mlagents_envs")]


def _shadowing(name: str, copy: Path, *, hidden: bool) -> Finding:
    found = f"{copy} is Unity's own {name}, or an old one"
    if hidden:
        return warning(f"{found}, and a script that starts beside it may import it; remove it or start elsewhere")
    package = name.replace("_", "-")
    return problem(f"{found}, and is imported in place of ours; pip uninstall {package}, then install ours again")


def check_torch() -> list[Finding]:
    """Can torch be loaded, and what does it compute on?"""
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: one of its libraries is missing
        return [problem(f"torch cannot be imported ({error}); install it as https://pytorch.org says for this machine")]
    if torch.cuda.is_available():
        return [ok(f"torch {torch.__version__} on {torch.cuda.get_device_name()}, and on the processor")]
    return [ok(f"torch {torch.__version__} on the processor")]


def check_kernels() -> list[Finding]:
    """Is numba installed, and can it cache compiled kernels?"""
    version = version_of("numba")
    if version is None:
        return [warning("numba is not installed: 3DBall and reading messages are slower; pip install numba")]
    from mlagents_envs.compiled import kernel_folder
    from mlagents_envs.exception import UnityEnvironmentException

    remedy = "set NUMBA_CACHE_DIR to a folder that only you can write to"
    try:
        folder = kernel_folder()
        reason = _why_not_cached(folder)
    except UnityEnvironmentException as error:
        reason = str(error)
    if reason is not None:
        return [warning(f"numba {version} compiles anew in every process: {reason}; {remedy}")]
    compiled = sum(1 for _ in folder.rglob("*.nbc"))
    state = f"{compiled} compiled kernels in {folder}" if compiled else f"will compile once into {folder}"
    return [ok(f"numba {version}, {state}")]


def _why_not_cached(folder: Path) -> str | None:
    """Return why kernels are not kept in a folder, None if they are."""
    from mlagents_envs.compiled import uses_own_folder
    from mlagents_envs.user_folder import distrusted

    if not _writable(folder):
        return f"it cannot write to {folder}"
    places = [place for place in (folder.parent, folder) if uses_own_folder() and os.path.lexists(place)]
    return next((reason for place in places if (reason := distrusted(place)) is not None), None)


def _writable(folder: Path) -> bool:
    """Can files be written there, if need be after making the folder?"""
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    return nearest.is_dir() and os.access(nearest, os.W_OK)


def check_port(port: int) -> list[Finding]:
    """Is the port free for a player's connection?"""
    from mlagents_envs.wire.ports import port_held

    held = port_held(port)
    return [ok(f"port {port} is free") if held is None else warning(held)]


def check_display(*, no_graphics: bool) -> list[Finding]:
    """Could a player open a window?"""
    from mlagents_envs.wire.diagnosis import no_display

    missing = no_display(no_graphics=no_graphics)
    if missing is not None:
        return [warning(missing)]
    return [ok("players are started without graphics" if no_graphics else "players have a display")]
