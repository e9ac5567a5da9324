"""Why a player does not start, does not answer, ended, or is incompatible: one sentence of cause, one of remedy."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from enum import Enum

import psutil

from mlagents_envs.names import nearest
from mlagents_envs.wire.builds import lacks_data
from mlagents_envs.wire.launch import Player

RELEASES = "https://github.com/Unity-Technologies/ml-agents/releases"
QUOTED = 10  # last lines of a log that are repeated
SEARCHED = 200  # and that are searched for known causes
WITHOUT_SCREEN = "pass no_graphics (--no-graphics), or run under `xvfb-run -a`"

_KNOWN = [  # pattern in a log -> what it means
    (r"(?i)unable to open display|can(?:no|')t open display|no available video device",
     f"It found no display: {WITHOUT_SCREEN}."),
    (r"error while loading shared libraries: UnityPlayer\.so",
     "UnityPlayer.so is missing beside it: copy the whole build."),
    (r"error while loading shared libraries: ([^\s:]+)",
     r"The shared library \1 is missing: install the package that has it."),
    (r"Library not loaded: (\S+)",
     r"The library \1 is missing: copy the whole build."),
    (r"(?i)there should be .*_data\b|_data\b['\"]?(?: folder)?,? (?:was |is )?(?:not found|missing)",
     "Its _Data folder is missing beside it: copy the whole build, and rename its parts together."),
    (r"(?i)(?:no valid|invalid|expired|missing) licen[cs]e|licen[cs]e .{0,40}(?:invalid|expired|missing|not found)",
     "Unity found no valid license: activate one on this machine."),
    (r"(?i)out of memory|(?:could not|cannot) allocate memory|bad_alloc",
     "Memory ran out: run fewer players (num_envs) or fewer areas (num_areas)."),
    (r"(?i)address (?:is )?(?:already )?in use",
     "Its port is in use: close the other environment, or choose another base_port."),
    (r"(?i)failed to initiali[sz]e (?:graphics|vulkan|opengl)|InitializeEngineGraphics failed",
     "It could not begin to draw: pass no_graphics (--no-graphics), or install a driver of the graphics card."),
]  # fmt: skip
_UNITY_LOG = {
    "linux": "~/.config/unity3d/COMPANY/PRODUCT/Player.log",
    "darwin": "~/Library/Logs/COMPANY/PRODUCT/Player.log",
    "win32": r"%USERPROFILE%\AppData\LocalLow\COMPANY\PRODUCT\Player.log",
}


class ConnectionPhase(Enum):
    """How far the connection to a player got."""

    NOT_CONNECTED = "no player connected"
    CONNECTED = "it connected and got the handshake reply"
    RESETTING = "it received the reset"
    RUNNING = "it sent steps before"
    REJECTED = "its message was rejected"


def no_display(*, no_graphics: bool, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return a sentence if a player wants a window and Linux has no screen for it."""
    if sys.platform != "linux" or no_graphics or environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"):
        return None
    return f"no display is here for the player (neither DISPLAY nor WAYLAND_DISPLAY is set); {WITHOUT_SCREEN}"


# silence


def why_silent(phase: ConnectionPhase, *, seconds: float, editor: bool, player: Player | None, limit: int) -> str:
    """Return why no message came for so many seconds, and what to do.

    limit: bytes of the largest message that is accepted. A player that ended is diagnosed by `why_exited`.
    """
    cause = _silence(phase, f"for {seconds:g} s", editor=editor, limit=limit)
    if player is None:
        return cause
    if phase is not ConnectionPhase.REJECTED:  # after that a player ends too, but its message was the cause
        if player.poll() is not None:
            return why_exited(player)
        if _is_halted(player):
            cause = f"Process {player.pid} is stopped and sent nothing for {seconds:g} s: `kill -CONT {player.pid}`."
    return _with_log(cause, player)


def _silence(phase: ConnectionPhase, how_long: str, *, editor: bool, limit: int) -> str:
    who = "The Unity Editor" if editor else "The player"
    paused = " Play mode may also be paused." if editor else ""
    if phase is ConnectionPhase.NOT_CONNECTED and editor:
        return (
            f"No player connected {how_long}. Press Play in the Unity Editor, in a scene with an active agent whose "
            "Behavior Type is Default; a scene without one does not connect."
        )
    if phase is ConnectionPhase.NOT_CONNECTED:
        return (
            f"The player runs but did not connect {how_long}. Check that its first scene has an active agent whose "
            "Behavior Type is Default, and that no dialog waits for a click; if it only loads slowly, raise "
            "timeout_wait (--timeout-wait)."
        )
    if phase is ConnectionPhase.CONNECTED:
        return (
            f"{who} connected and then sent nothing {how_long}. Its first scene hangs or loads slowly: see its log, or "
            "raise timeout_wait (--timeout-wait)."
        )
    if phase is ConnectionPhase.RESETTING:
        return (
            f"{who} received the reset and sent nothing {how_long}: no agent requests a decision. Check that an "
            "active agent has a Decision Requester, or calls RequestDecision, and that its Behavior Type is Default."
            + paused
        )
    if phase is ConnectionPhase.REJECTED:
        return (
            f"The last message was larger than the limit of {limit / 2**20:g} MiB, or was cut off. Make the "
            "scene send less: fewer agents or areas, smaller or compressed (PNG) observations."
        )
    return (
        f"{who} sent steps before and has sent nothing {how_long}. It hangs, or its agents stopped requesting "
        "decisions: check that they start a new episode when one ends and are not all disabled." + paused
    )


def _is_halted(player: Player) -> bool:
    with suppress(psutil.Error):
        return bool(psutil.Process(player.pid).status() == psutil.STATUS_STOPPED)
    return False


# the end of a player


def why_exited(player: Player, *, wanted_window: bool = False) -> str:
    """Return how a player ended, the likely cause from its log, and its last lines.

    wanted_window: it was to draw, and ended before it connected.
    """
    status = player.poll()
    if status is None:
        return _with_log(f"{player.executable} (process {player.pid}) is still running.", player)
    ending = f"{player.executable} (process {player.pid}) {_ending(status)}."
    missing = lacks_data(player.executable) if player.executable.is_file() else None
    if wanted_window and missing is None and (screen := no_display(no_graphics=False)) is not None:
        missing = f"If it wanted a window: {screen}"
    return _with_log(ending, player, missing=missing)


def _ending(status: int) -> str:
    if status == 0:
        return "ended by itself with status 0: its window was closed, or the game quit"
    if status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:  # a real-time signal has no name
            name = str(-status)
        by = ", often by the system when memory runs out" if name == "SIGKILL" else ""
        return f"was ended by signal {name}{by}"
    number = status if status < 2**16 else f"0x{status:08X}"  # as Windows writes its own error codes
    return f"ended with status {number}"


def _with_log(cause: str, player: Player, missing: str | None = None) -> str:
    lines = player.last_lines(SEARCHED)
    hint = next((meaning for line in reversed(lines) if (meaning := _meaning(line))), None)
    if hint is None and missing is not None:
        hint = missing + "."
    parts = [cause, hint] if hint else [cause]
    if lines:
        return "\n    ".join([" ".join([*parts, "Its last lines:"]), *lines[-QUOTED:]])
    log = _UNITY_LOG.get(sys.platform, _UNITY_LOG["linux"])
    return " ".join([*parts, f"It printed nothing; see Unity's own log, {log}, or ask for one with -logFile FILE."])


def _meaning(line: str) -> str | None:
    """Return the known cause that a line of a log shows."""
    found = ((re.search(pattern, line), meaning) for pattern, meaning in _KNOWN)
    return next((match.expand(meaning) for match, meaning in found if match), None)


# incompatible versions and behaviors


def versions_differ(ours: str, theirs: str, package: str) -> str | None:
    """Return a sentence unless both have the same protocol: equal majors, and equal minors while Unity's major is 0.

    package: the version of com.unity.ml-agents in the scene.
    """
    scene = f"the scene (com.unity.ml-agents {package or 'of unknown version'})"
    numbers = []
    for version, speaker in ((ours, "this package"), (theirs, scene)):
        match = re.fullmatch(r"(\d+)\.(\d+)(?:\.\d+)?(?:[ab]\d+)?", version)
        if match is None:
            return (
                f"{speaker} has communication version {version!r}, which is no version such as 1.5.0; "
                f"use releases that belong together: {RELEASES}"
            )
        numbers.append((int(match[1]), int(match[2])))
    mine, unitys = numbers
    if mine == unitys if unitys[0] == 0 else mine[0] == unitys[0]:
        return None
    return (
        f"{scene} has communication version {theirs}, and this package {ours}; "
        f"use releases that belong together: {RELEASES}"
    )


def behaviors_differ(in_build: Iterable[str], in_file: Iterable[str]) -> list[str]:
    """Return a sentence for each behavior that only the build or only the file has; `?team=` is ignored."""
    build = {name.partition("?")[0] for name in in_build}
    file = set(in_file)
    return [
        *(f"the build has '{name}', and the file does not{_near(name, file - build)}" for name in sorted(build - file)),
        *(f"the file has '{name}', and the build does not{_near(name, build - file)}" for name in sorted(file - build)),
    ]


def _near(name: str, others: set[str]) -> str:
    near = nearest(name, sorted(others))
    return f"; is '{near[0]}' meant?" if near else ""
