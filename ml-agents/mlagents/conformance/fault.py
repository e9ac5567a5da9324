"""What a check says when it does not pass. No torch here, and no pytest."""

from __future__ import annotations

from pathlib import Path
from unittest import SkipTest


class Fault(AssertionError):
    """A trainer does not do what it must; the text says what was expected, what came, and the usual cause."""


class NotTaken(SkipTest):  # pytest and unittest both take it for a test that is skipped
    """The check asks for what the trainer says it does not take."""


def crash(error: BaseException, folder: Path) -> str:
    """Return what ended a check, with the file and line where it happened.

    folder: that of the trainer; the innermost line there is told, or the innermost of all if none is there.
    """
    trace, places = error.__traceback__, []
    while trace is not None:
        places.append((Path(trace.tb_frame.f_code.co_filename), trace.tb_lineno))
        trace = trace.tb_next
    own = [place for place in places if place[0].parent == folder]
    file, line = (own or places)[-1]
    cause = " ".join(str(error).split()) or "it says nothing more"
    return f"it must not fail, but there was {type(error).__name__}: {cause} ({file}, line {line})"
