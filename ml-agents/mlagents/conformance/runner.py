"""Run all checks of a trainer, in this process or in several."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from mlagents.conformance import checks
from mlagents.conformance.check import Check
from mlagents.conformance.errors import ConformanceError, NotApplicable

Verdict = Literal["ok", "FAILED", "skipped"]


@dataclass(frozen=True)
class Result:
    """The result of a check."""

    check: str
    verdict: Verdict
    seconds: float
    detail: str  # why it failed or was skipped, or a remark


@dataclass(frozen=True)
class CheckRequest:
    """Which checks of which trainer. It can be pickled; checks cannot, because trainers of plug-in files cannot."""

    name: str
    plugins: tuple[str, ...] = ()
    config: str | Path | None = None
    seed: int = 0
    only: str = ""  # a part of the names of the checks to run; empty for all

    def checks(self) -> list[Check]:
        """Return the checks; raises PluginError or SettingsError if the trainer cannot be used."""
        every = checks(self.name, plugins=self.plugins, config=self.config, seed=self.seed)
        return [check for check in every if self.only.lower() in str(check).lower()]


def run_check(check: Check) -> Result:
    """Run one check."""
    begin = time.perf_counter()
    verdict: Verdict = "ok"
    try:
        detail = check() or ""
    except NotApplicable as error:
        verdict, detail = "skipped", str(error)
    except ConformanceError as error:
        verdict, detail = "FAILED", str(error)
    return Result(str(check), verdict, time.perf_counter() - begin, detail)


def run_checks(request: CheckRequest, *, processes: int = 2) -> Iterator[Result]:
    """Run all checks, and yield each result as soon as it is there.

    A check that ends its process has failed too; the remaining ones then run in one process, a new one after each end.
    """
    requested = request.checks()
    if processes < 2:
        yield from map(run_check, requested)
        return
    left = list(range(len(requested)))
    while left:
        with _pool(request, processes) as pool:
            waiting = {pool.submit(_run_numbered, number): number for number in left}
            for future in as_completed(waiting):
                if not isinstance(future.exception(), BrokenProcessPool):
                    left.remove(waiting[future])
                    yield future.result()
        if left and processes == 1:  # one process runs the checks in order, so the first one left ended it
            yield Result(str(requested[left.pop(0)]), "FAILED", 0.0, "it must return, but it ended the whole process")
        processes = 1


def _pool(request: CheckRequest, processes: int) -> ProcessPoolExecutor:
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(processes, spawn, initializer=_begin, initargs=(request,))


_REQUESTED: list[Check] = []  # in a worker process: all checks, loaded once


def _begin(request: CheckRequest) -> None:
    torch.set_num_threads(1)
    _REQUESTED[:] = request.checks()


def _run_numbered(number: int) -> Result:
    return run_check(_REQUESTED[number])


def summary(results: Sequence[Result]) -> str:
    """Return how many checks passed, failed and were skipped."""
    count = {verdict: sum(result.verdict == verdict for result in results) for verdict in ("ok", "FAILED", "skipped")}
    return f"{count['ok']} ok, {count['FAILED']} failed, {count['skipped']} skipped"
