"""One check: a question about a trainer and the kind of actions it is asked with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from mlagents.algorithms.author import TrainerError
from mlagents.conformance.fault import Fault, NotTaken, crash
from mlagents.conformance.subject import Space, Subject
from mlagents_envs.base_env import ActionSpec

Question = Callable[[Subject, ActionSpec], "str | None"]  # raises Fault; returns something worth knowing, or None


@dataclass(frozen=True)
class Check:
    """A question that waits to be asked; its text is the sentence that must be true."""

    question: Question
    subject: Subject
    space: Space

    def __str__(self) -> str:
        sentence = self.question.__name__.replace("_", " ")
        return f"{sentence} ({self.space.name})" if self.space.name else sentence

    def __call__(self) -> str | None:
        """Ask, and return what is worth knowing; raises Fault, also for a crash, or NotTaken."""
        with _alone():
            try:
                lacks = self.subject.lacks(self.space.actions)
                if lacks is not None:
                    raise NotTaken(f"it says that it does not take {lacks}")
                return self.question(self.subject, self.space.actions)
            except (Fault, NotTaken):
                raise
            except (Exception, SystemExit) as error:
                cause = error.__cause__ if isinstance(error, TrainerError) else None  # it has the author's frames
                raise Fault(crash(cause or error, self.subject.folder)) from error


@contextmanager
def _alone() -> Iterator[None]:
    """Leave torch's random numbers and threads as they were; small networks are slower on more than one."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
