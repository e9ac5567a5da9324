"""Names that can be those of files and folders on every system."""

from __future__ import annotations

from pathlib import PureWindowsPath

LONGEST = 200  # bytes of a name: what is added to it for a checkpoint's file still fits in 255
_FORBIDDEN = '/\\:*?"<>|'  # in a file's name, on one system or another


def wrong_run_id(run_id: str) -> str | None:
    """Return why a run cannot have this name, None if it can. One with slashes lies in folders of folders."""
    if run_id.startswith(("/", "\\")) or PureWindowsPath(run_id).drive:
        return "it must not be an absolute path; choose the folder of all runs with --results-dir"
    return next((wrong for part in run_id.split("/") if (wrong := _wrong_part(part)) is not None), None)


def wrong_name(name: str) -> str | None:
    """Return why a behavior's name cannot be that of a folder on every system, None if it can."""
    if any(letter in name for letter in _FORBIDDEN):
        return f"it must have none of {' '.join(_FORBIDDEN)}"
    return _wrong_part(name)


def _wrong_part(name: str) -> str | None:
    if not name.strip():
        return "it is empty"
    if name in (".", ".."):
        return f"'{name}' leads elsewhere"
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        return "it must have no control characters"
    try:
        size = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        return "it is no valid UTF-8"
    return f"it has {size} bytes; {LONGEST} are the most" if size > LONGEST else None
