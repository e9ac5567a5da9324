"""What a user sees: log lines, and a live line of progress where there is a terminal."""

from __future__ import annotations

import logging
import sys
import time
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from mlagents_envs.printable import printable

SHOWN_EVERY = 0.25  # seconds


def set_up_logging(console: Console | None, *, debug: bool, stream: TextIO | None = None) -> None:
    """Write `[LEVEL] message` to a stream, by default standard output; above the progress line where there is one."""
    style = (
        "%(asctime)s %(levelname)s [%(filename)s:%(lineno)d] %(message)s" if debug else "[%(levelname)s] %(message)s"
    )
    handler: logging.Handler = logging.StreamHandler(stream or sys.stdout)
    if console is not None:
        handler = AboveProgress(console)
    handler.setFormatter(_Printable(style, datefmt="%Y-%m-%d %H:%M:%S"))
    for name in ("mlagents", "mlagents_envs"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(logging.DEBUG if debug else logging.INFO)
        logger.propagate = False


class _Printable(logging.Formatter):
    """Names come from players and files: what would steer the terminal is written out."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), layout=True)


class AboveProgress(logging.Handler):
    """Writes lines above the progress line, as they are: never wrapped, never colored."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record above the progress bars."""
        self.console.print(self.format(record), soft_wrap=True, markup=False, highlight=False, emoji=False)


class Display:
    """Progress of each behavior: share done, time left, steps per second, and mean reward."""

    def __init__(self, stream: TextIO | None = None, *, on: bool = True) -> None:
        """on: False shows nothing; nor does a stream that is no terminal."""
        console = Console(file=stream)
        self.console = console if on and console.is_terminal else None
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._next = 0.0
        if self.console is not None:
            self._progress = Progress(
                TextColumn("{task.description}", markup=False), BarColumn(),
                TextColumn("{task.percentage:>3.0f}%"), _Speed(), TextColumn("{task.fields[reward]}"),
                TimeRemainingColumn(), console=self.console, transient=True, auto_refresh=False,
            )  # fmt: skip

    def track(self, behavior: str, max_steps: int) -> None:
        """Show one more behavior."""
        if self._progress is not None:
            self._progress.start()
            self._tasks[behavior] = self._progress.add_task(printable(behavior), total=max_steps, reward="")

    def advance(self, behavior: str, step: int, reward: float | None) -> None:
        """Show how far a behavior is; most calls only look at the clock."""
        if self._progress is None or time.monotonic() < self._next:
            return
        shown = "" if reward is None else f"reward {reward:.2f}"
        self._progress.update(self._tasks[behavior], completed=step, reward=shown, refresh=True)
        self._next = time.monotonic() + SHOWN_EVERY

    def close(self) -> None:
        """Take the progress line away."""
        if self._progress is not None:
            self._progress.stop()


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f} steps/s" if task.speed else "")
