"""One check: a function, the trainer it checks and the action space it uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from mlagents.algorithms.author import TrainerError
from mlagents.conformance.errors import ConformanceError, NotApplicable, describe_crash
from mlagents.conformance.subject import Space, Subject
from mlagents_envs.base_env import ActionSpec

CheckFunction = Callable[[Subject, ActionSpec], "str | None"]  # raises ConformanceError; may return a remark


@dataclass(frozen=True)
class Check:
    """A check that has not run yet; str() is its name, a sentence that must be true."""

    function: CheckFunction
    subject: Subject
    space: Space

    def __str__(self) -> str:
        sentence = self.function.__name__.replace("_", " ")
        return f"{sentence} ({self.space.name})" if self.space.name else sentence

    def __call__(self) -> str | None:
        """Run, and return a remark or None; raises ConformanceError, also for a crash, or NotApplicable."""
        with _isolated():
            try:
                lacks = self.subject.lacks(self.space.actions)
                if lacks is not None:
                    raise NotApplicable(f"its `capabilities` exclude {lacks}")
                return self.function(self.subject, self.space.actions)
            except (ConformanceError, NotApplicable):
                raise
            except (Exception, SystemExit) as error:
                cause = error.__cause__ if isinstance(error, TrainerError) else None  # it has the author's frames
                raise ConformanceError(describe_crash(cause or error, self.subject.folder)) from error


@contextmanager
def _isolated() -> Iterator[None]:
    """Restore torch's random state and threads afterwards; small networks are slower on more than one thread."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
