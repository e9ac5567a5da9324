"""Mistakes in settings, as sentences. Light: the command line imports it before anything else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mlagents_envs.names import nearest

SHOWN = 100  # mistakes that are printed
LETTERS = 80  # of a value
LONGEST = 1500  # letters of a message, which may quote more than one


@dataclass(frozen=True, order=True)
class Mistake:
    """One wrong value or key in a file or on the command line."""

    line: int  # from 1; 0 where there is none
    column: int
    where: str  # the file or the flag
    key: str  # dotted, empty where the whole file is meant
    message: str

    def __str__(self) -> str:
        place = f"{self.where}:{self.line}:{self.column}" if self.line else self.where
        return ": ".join(part for part in (place, self.key, shorten(self.message, LONGEST)) if part)


class SettingsError(Exception):
    """All mistakes in settings; warnings: what is suspicious but allowed."""

    def __init__(self, mistakes: Iterable[Mistake], warnings: Iterable[Mistake] = ()) -> None:
        self.mistakes = sorted(set(mistakes))
        self.warnings = [str(warning) for warning in sorted(set(warnings))]
        lines = [str(mistake) for mistake in self.mistakes[:SHOWN]]
        if len(self.mistakes) > SHOWN:
            lines.append(f"and {len(self.mistakes) - SHOWN:,} more")
        super().__init__("\n".join(lines))


def shorten(text: str, letters: int = LETTERS) -> str:
    """Return a text as a sentence can quote it: no longer than a line, or so many letters."""
    return text if len(text) <= letters else f"{text[: letters - 3]}..."


def near(name: str, known: Iterable[str], *, end: str = ".") -> str:
    """Return `, did you mean ...?` if a known name is near, else `end`."""
    close = nearest(name, known)
    return f", did you mean '{close[0]}'?" if close else end


def number(value: object) -> str:
    """Return a number as a sentence shows it: whole ones with all their digits."""
    return f"{value:g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
