"""Numbers to look at: gathered between two points of a curve, then handed to writers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlagents_envs.system_errors import sentence

log = logging.getLogger(__name__)
Array = NDArray[Any]


class Aggregation(Enum):
    """How the values between two points become one; the numbers are those of Unity's stats channel."""

    AVERAGE = 0
    MOST_RECENT = 1
    SUM = 2
    HISTOGRAM = 3


@dataclass(frozen=True)
class StatsSummary:
    """What was gathered under one name."""

    full_dist: Array  # (n,) every value, n at least 1
    aggregation_method: Aggregation

    @property
    def mean(self) -> float:
        """The mean of all values."""
        return float(self.full_dist.mean())

    @property
    def std(self) -> float:
        """Their standard deviation."""
        return float(self.full_dist.std())

    @property
    def num(self) -> int:
        """How many there are."""
        return len(self.full_dist)

    @property
    def sum(self) -> float:
        """Their sum."""
        return float(self.full_dist.sum())

    @property
    def aggregated_value(self) -> float:
        """The point of the curve."""
        if self.aggregation_method is Aggregation.SUM:
            return self.sum
        return float(self.full_dist[-1]) if self.aggregation_method is Aggregation.MOST_RECENT else self.mean


class StatsWriter(Protocol):
    """Puts summaries somewhere; the one method that a writer must have."""

    def write_stats(self, category: str, values: Mapping[str, StatsSummary], step: int) -> None:
        """Write what was gathered for a behavior up to `step`."""


class Recorder:
    """Gathers numbers by category, which is a behavior's name."""

    def __init__(self, writers: Sequence[StatsWriter]) -> None:
        self.writers = list(writers)
        self._failed: list[StatsWriter] = []  # those that could not write once
        self._gathered: dict[str, dict[str, tuple[Aggregation, list[Any]]]] = {}

    def add(self, category: str, metrics: Mapping[str, float | Array], how: Aggregation = Aggregation.AVERAGE) -> None:
        """Take numbers, or arrays of numbers, by name; each name keeps the way it was first added."""
        if not metrics:
            return
        gathered = self._gathered.setdefault(category, {})
        for name, value in metrics.items():
            if name not in gathered:
                gathered[name] = (how, [])
            gathered[name][1].append(value)

    def flush(self, category: str, step: int) -> dict[str, StatsSummary]:
        """Hand everything gathered to the writers, begin anew, and return what it was."""
        gathered = self._gathered.pop(category, {})
        values = {
            name: StatsSummary(np.concatenate([np.atleast_1d(value) for value in all_values]), how)
            for name, (how, all_values) in gathered.items()
        }
        for writer in list(self.writers):
            self._let(writer, partial(writer.write_stats, category, values, step))
        return values

    def write_apart(self, category: str, values: Mapping[str, StatsSummary], step: int) -> None:
        """Hand writers what was not gathered between two summaries, at its own step.

        Those that make a line or a row of each summary (`summaries_only`) do not get it.
        """
        for writer in list(self.writers):
            if not getattr(writer, "summaries_only", False):
                self._let(writer, partial(writer.write_stats, category, values, step))

    def close(self) -> None:
        """Let writers that hold files close them."""
        for writer in list(self.writers):
            if (close := getattr(writer, "close", None)) is not None:
                self._let(writer, close)

    def _let(self, writer: StatsWriter, action: Callable[[], object]) -> None:
        """Let a writer do something. Curves are no reason to end a run: say once what cannot be written.

        What the system refuses now, it may grant later; a writer that fails otherwise is faulty, and is switched off.
        """
        name = type(writer).__name__
        try:
            action()
        except OSError as error:
            if writer not in self._failed:
                self._failed.append(writer)
                log.warning(f"{name}: {sentence(error)}. Training goes on; these numbers are missing there.")
        except Exception as error:  # an author's writer may fail in any way
            self.writers.remove(writer)
            text = " ".join(str(error).split())
            log.warning(f"{name}: {type(error).__name__}: {text}{_place(error)}. Training goes on without this writer.")
            log.debug("The traceback:", exc_info=True)


def _place(error: Exception) -> str:
    """Return the file and line where a writer failed."""
    trace = error.__traceback__
    if trace is None or trace.tb_next is None:
        return ""
    inner = trace.tb_next  # behind `_let`
    return f" ({inner.tb_frame.f_code.co_filename}, line {inner.tb_lineno})"
