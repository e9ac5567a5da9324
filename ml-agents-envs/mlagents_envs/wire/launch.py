"""Starts, monitors and stops players."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import IO

from mlagents_envs.exception import UnityEnvironmentException
from mlagents_envs.wire.builds import find_player, wrong_file
from mlagents_envs.wire.group import Group

__all__ = ["Player", "find_player", "player_arguments", "start"]

GRACE = 2.0  # seconds between asking a player to end and ending it
REAPED = 10.0  # seconds for the system to reap a killed process
TAIL = 64 * 1024  # bytes read from the end of a log


def player_arguments(
    port: int, *, no_graphics: bool = False, log: Path | None = None, additional: Sequence[str] = ()
) -> list[str]:
    """Return a player's command-line arguments; `log`: Unity's log file, unless `additional` has -logFile."""
    arguments = ["-nographics", "-batchmode"] if no_graphics else []
    arguments += ["--mlagents-port", str(port)]
    if log is not None and not any(argument.lower() == "-logfile" for argument in additional):
        arguments += ["-logFile", str(log)]
    return [*arguments, *additional]


def start(executable: Path, arguments: Sequence[str], *, output: int) -> Group:
    """Start an executable, after making the folder of its log; output: a file descriptor.

    Raises UnityEnvironmentException with the cause.
    """
    if (log := _unity_log(arguments)) is not None:
        _make_folder(log)  # Unity does not make it
    try:
        return Group([executable, *arguments], output=output)
    except OSError as error:
        cause = wrong_file(executable) or f"{executable} could not be started: {error.strerror}"
        raise UnityEnvironmentException(cause) from error


class Player:
    """A running player. It ends with `stop`, or with this process; see `Group`.

    log: file for what it prints; without one, a temporary file, which `stop` removes.
    """

    def __init__(self, executable: Path, arguments: Sequence[str], *, log: Path | None = None) -> None:
        self.executable = executable
        file, output = _open(log)
        self._printed = file.open("rb")
        self._temporary = file if log is None else None
        self._unity_log = _unity_log(arguments)
        self._before = _version(self._unity_log)  # of the log, which may be left from another run
        self._last = b""  # of what it printed
        try:
            self._group = start(executable, arguments, output=output)
        except BaseException:  # a Ctrl-C too
            self._printed.close()
            raise
        finally:
            os.close(output)
            self._remove_temporary()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._group.process.pid

    def poll(self) -> int | None:
        """Return its exit status, negative for a signal, or None while it runs."""
        return self._group.process.poll()

    def last_lines(self, n: int) -> list[str]:
        """Return up to n last lines of Unity's own log if it wrote one, else of what it printed."""
        tail = b""
        if self._unity_log is not None and _version(self._unity_log) != self._before:
            with suppress(OSError), self._unity_log.open("rb") as written:
                tail = _tail(written)
        tail = tail or (self._last if self._printed.closed else _tail(self._printed))
        lines = [line.rstrip() for line in tail.decode("utf-8", errors="replace").rstrip().split("\n")]
        return lines[-n:] if n > 0 and tail.strip() else []

    def stop(self, patience: float) -> None:
        """Wait this many seconds for it to end by itself, then end it and all processes that it started."""
        if self._printed.closed:
            return
        try:
            if not self._ends_within(patience):
                self._group.terminate()
                self._ends_within(GRACE)
        finally:
            self._group.kill()
            self._ends_within(REAPED)
            self._last = _tail(self._printed)
            self._printed.close()
            self._remove_temporary()

    def _ends_within(self, seconds: float) -> bool:
        with suppress(subprocess.TimeoutExpired):
            self._group.process.wait(seconds)
        return self.poll() is not None

    def _remove_temporary(self) -> None:
        """Unlink the temporary file: at once where an open file needs no name, else at the end."""
        if self._temporary is not None:
            with suppress(OSError):  # Windows keeps what is open
                self._temporary.unlink(missing_ok=True)


def _open(log: Path | None) -> tuple[Path, int]:
    """Return a file for what a player prints, and its descriptor."""
    if log is None:
        descriptor, name = tempfile.mkstemp(prefix="mlagents-player-", suffix=".log")
        return Path(name), descriptor
    _make_folder(log)
    try:
        return log, os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o644)
    except OSError as error:
        raise _unwritable(log, error) from error


def _make_folder(log: Path) -> None:
    """Make the folder of a log, which must exist before a player writes there."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(log, error) from error


def _unwritable(log: Path, error: OSError) -> UnityEnvironmentException:
    return UnityEnvironmentException(
        f"{log}: the log of the player cannot be written there ({error.strerror}); choose another folder"
    )


def _unity_log(arguments: Sequence[str]) -> Path | None:
    """Return the file that `-logFile` names; Unity prints if it is `-` or missing."""
    for flag, value in pairwise(arguments):
        if flag.lower() == "-logfile":
            return None if value.startswith("-") else Path(value)
    return None


def _version(file: Path | None) -> tuple[int, int] | None:
    if file is not None:
        with suppress(OSError):
            return file.stat().st_mtime_ns, file.stat().st_size
    return None


def _tail(stream: IO[bytes]) -> bytes:
    """Return the last bytes of a file, from the beginning of a line."""
    beginning = max(0, stream.seek(0, os.SEEK_END) - TAIL)
    stream.seek(beginning)
    tail = stream.read(TAIL)
    return tail if beginning == 0 else tail.partition(b"\n")[2] or tail
