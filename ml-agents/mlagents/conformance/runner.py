"""All checks of a trainer, one after the other or in several processes; one that fails is in no other's way."""

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
from mlagents.conformance.fault import Fault, NotTaken

Verdict = Literal["ok", "FAULT", "not taken"]


@dataclass(frozen=True)
class Result:
    """What came of a check."""

    check: str
    verdict: Verdict
    seconds: float
    said: str


@dataclass(frozen=True)
class Order:
    """Which checks of which trainer; it travels to other processes, where trainers that were loaded here do not."""

    name: str
    plugins: tuple[str, ...] = ()
    config: str | Path | None = None
    seed: int = 0
    only: str = ""  # a part of the sentences of those that are meant; empty for all

    def checks(self) -> list[Check]:
        """Return them; raises PluginError or SettingsError if the trainer cannot be used."""
        every = checks(self.name, plugins=self.plugins, config=self.config, seed=self.seed)
        return [check for check in every if self.only.lower() in str(check).lower()]


def done(check: Check) -> Result:
    """Do a check."""
    begin = time.perf_counter()
    verdict: Verdict = "ok"
    try:
        said = check() or ""
    except NotTaken as error:
        verdict, said = "not taken", str(error)
    except Fault as error:
        verdict, said = "FAULT", str(error)
    return Result(str(check), verdict, time.perf_counter() - begin, said)


def results(order: Order, *, processes: int = 2) -> Iterator[Result]:
    """Do all checks, and yield what came of each as soon as it is known.

    A check that ends its process is a fault too: those that are left are done in one process, a new one for each end.
    """
    ordered = order.checks()
    if processes < 2:
        yield from map(done, ordered)
        return
    left = list(range(len(ordered)))
    while left:
        with _pool(order, processes) as pool:
            waiting = {pool.submit(_numbered, number): number for number in left}
            for future in as_completed(waiting):
                if not isinstance(future.exception(), BrokenProcessPool):
                    left.remove(waiting[future])
                    yield future.result()
        if left and processes == 1:  # in one process, checks are done in their order
            yield Result(str(ordered[left.pop(0)]), "FAULT", 0.0, "it must return, but it ended the whole process")
        processes = 1


def _pool(order: Order, processes: int) -> ProcessPoolExecutor:
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(processes, spawn, initializer=_begin, initargs=(order,))


_ORDERED: list[Check] = []  # in a process that does checks: all of them, loaded once


def _begin(order: Order) -> None:
    torch.set_num_threads(1)
    _ORDERED[:] = order.checks()


def _numbered(number: int) -> Result:
    return done(_ORDERED[number])


def summary(found: Sequence[Result]) -> str:
    """Return how many checks passed, failed and did not apply."""
    count = {verdict: sum(result.verdict == verdict for result in found) for verdict in ("ok", "FAULT", "not taken")}
    faults = f"{count['FAULT']} {'fault' if count['FAULT'] == 1 else 'faults'}"
    return f"{count['ok']} ok, {faults}, {count['not taken']} not taken"
