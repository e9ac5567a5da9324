"""The errors of checks. This imports neither torch nor pytest."""

from __future__ import annotations

from pathlib import Path
from unittest import SkipTest


class ConformanceError(AssertionError):
    """A check failed; the text gives what is required, what was found, and the usual cause."""


class NotApplicable(SkipTest):  # pytest and unittest count it as a skipped test
    """The trainer's capabilities exclude what the check needs."""


def describe_crash(error: BaseException, folder: Path) -> str:
    """Return a sentence on an unexpected exception, with file and line.

    folder: that of the trainer; the line is the innermost in this folder, or the innermost of all if there is none.
    """
    trace, places = error.__traceback__, []
    while trace is not None:
        places.append((Path(trace.tb_frame.f_code.co_filename), trace.tb_lineno))
        trace = trace.tb_next
    own = [place for place in places if place[0].parent == folder]
    file, line = (own or places)[-1]
    message = " ".join(str(error).split()) or "(no message)"
    return f"it must not raise, but raised {type(error).__name__}: {message} ({file}, line {line})"
