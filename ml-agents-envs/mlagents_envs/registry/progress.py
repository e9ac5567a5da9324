"""A progress bar for long operations, on terminals only."""

from __future__ import annotations

import sys


class Bar:
    """Shows progress on standard output if that is a terminal."""

    WIDTH = 40  # letters

    def __init__(self, label: str, total: int) -> None:
        """total: in any unit, 0 if unknown."""
        self._label = label
        self._total = total
        self._done = 0
        self._shown = -1  # letters of the bar on the screen
        self._watched = total > 0 and sys.stdout is not None and sys.stdout.isatty()

    def advance(self, amount: int) -> None:
        """Add to the finished amount."""
        self._done += amount
        letters = self.WIDTH * min(self._done, self._total) // self._total if self._watched else self._shown
        if letters != self._shown:
            self._shown = letters
            end = "\n" if letters == self.WIDTH else ""
            sys.stdout.write(f"\r{self._label} [{'=' * letters:{self.WIDTH}}]{end}")
            sys.stdout.flush()
