"""Finds and starts players, under the names of Unity's package."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from mlagents_envs.exception import UnityEnvironmentException
from mlagents_envs.wire.launch import find_player, start


def get_platform() -> str:
    """Return the platform as Python names it: linux, darwin or win32."""
    return sys.platform


def validate_environment_path(env_path: str) -> str | None:
    """Return the executable of a path on this platform, None if there is none."""
    try:
        return str(find_player(env_path))
    except UnityEnvironmentException:
        return None


def launch_executable(file_name: str, args: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a player in a process group of its own and discard its output.

    Raises UnityEnvironmentException with the cause if there is no such player or it cannot be started.
    """
    return start(find_player(file_name), args, output=subprocess.DEVNULL).process
