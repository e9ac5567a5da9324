"""Writes an example as an executable file, which a trainer takes where it expects a Unity build."""

from __future__ import annotations

import io
import shlex
import sys
import sysconfig
import zipfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from mlagents_envs.exception import UnityEnvironmentException

COMMAND = "mlagents_envs.player.serve"
LAUNCHERS = {"win-amd64": "t64.exe", "win-arm64": "t64-arm.exe", "win32": "t32.exe"}  # of distlib, in pip


def make_executable(
    folder: Path, name: str, *, arguments: Sequence[str] = (), platform: str = sys.platform
) -> Path:  # fmt: skip
    """Write an executable that serves an example with this Python, replacing an existing one, and return its path.

    Its path is where a trainer looks for `folder/name` on this platform. arguments: options that it always has.
    Raises UnityEnvironmentException if it cannot be written.
    """
    if platform == "win32":
        file, content = folder / f"{name}.exe", _program(name, arguments)
    elif platform == "darwin":
        file, content = folder / f"{name}.app" / "Contents" / "MacOS" / name, _script(name, arguments)
    else:
        file, content = folder / f"{name}.x86_64", _script(name, arguments)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(0o755)
    except OSError as error:
        raise UnityEnvironmentException(
            f"{file}: the executable cannot be written there ({error.strerror}); choose another folder"
        ) from error
    return file


def _script(name: str, arguments: Sequence[str]) -> bytes:
    """Return a shell script, since the kernel allows neither spaces nor a long path in the first line."""
    command = shlex.join([sys.executable, "-m", COMMAND, name, *arguments])
    return f'#!/bin/sh\nexec {command} "$@"\n'.encode()


def _program(name: str, arguments: Sequence[str]) -> bytes:
    """Return a Windows program: a launcher, the path of this Python, and an archive with the code to run."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr(
            "__main__.py",
            f"import sys\nfrom {COMMAND} import main\nsys.exit(main({[name, *arguments]!r} + sys.argv[1:]))\n",
        )
    return _launcher() + f'#!"{sys.executable}"\r\n'.encode() + archive.getvalue()


def _launcher() -> bytes:
    launcher = LAUNCHERS.get(sysconfig.get_platform(), LAUNCHERS["win-amd64"])
    try:
        return (files("pip._vendor.distlib") / launcher).read_bytes()
    except (ModuleNotFoundError, OSError) as error:
        raise UnityEnvironmentException(
            f"pip has no launcher {launcher} here, and Windows starts no script without one; "
            f"install pip with: {sys.executable} -m ensurepip"
        ) from error
