"""What is said of settings that cannot be meant. Light: the command line imports it before anything else."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Mistake:
    """Something in a file or on the command line that cannot be meant."""

    line: int  # from 1; 0 where there is none
    column: int
    where: str  # the file or the flag
    key: str  # dotted, empty where the whole file is meant
    message: str

    def __str__(self) -> str:
        place = f"{self.where}:{self.line}:{self.column}" if self.line else self.where
        return ": ".join(part for part in (place, self.key, self.message) if part)


class SettingsError(Exception):
    """Mistakes in settings, all of them."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        self.mistakes = sorted(set(mistakes))
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))
