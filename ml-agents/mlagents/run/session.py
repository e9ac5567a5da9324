"""A run as a value: it is begun, it ends with its files in order, and what became of it is returned.

Nothing here prints, handles signals or ends the process: a program may have several, one after another or in threads.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from mlagents.envs.pool import EnvLost
from mlagents.run.atomic import write_text_atomically
from mlagents.run.console import Display
from mlagents.run.loop import Loop, TrainedBehavior
from mlagents.run.outcome import BehaviorOutcome, Ended, Outcome
from mlagents.run.results import ResultsFolder
from mlagents.run.status import Status
from mlagents.run.timers import Timers

log = logging.getLogger(__name__)


class Session:
    """A run and what must be put in order when it ends. It runs once; one that is not run must be closed."""

    def __init__(
        self, loop: Loop, results: ResultsFolder, timers: Timers, status: Status, display: Display, *,
        configuration: str, writes: bool,
    ) -> None:  # fmt: skip
        """configuration: what `configuration.yaml` holds. writes: False leaves everything in the folder as it is."""
        self.loop = loop
        self.results = results
        self.timers = timers
        self.status = status
        self.display = display
        self._configuration = configuration
        self._writes = writes

    @property
    def begun(self) -> bool:
        """Has an agent asked for an action yet? Before that, nothing is written."""
        return bool(self.loop.behaviors)

    def stop(self) -> None:
        """Ask the run to end after the present tick; safe in a signal handler and from another thread."""
        self.loop.stop()

    def run(self) -> Outcome:
        """Run to the end and return what became of it; whatever ends it, files are left in order.

        Raises RunError or UnityException with a sentence.
        """
        ended, why = Ended.FINISHED, ""
        with self._order(), frozen_objects(), self.timers.time("TrainerController.start_learning"):
            try:
                self.loop.run()
            except EnvLost as lost:
                if not lost.stopped:
                    raise
                ended, why = Ended.CLOSED, str(lost)
        if self.loop.stopped and ended is Ended.FINISHED:
            ended = Ended.STOPPED
        behaviors = {name: self._outcome(trained) for name, trained in self.loop.behaviors.items()}
        return Outcome(behaviors, ended, why, self.results.root, self.results.configuration)

    def close(self) -> None:
        """End the environments of a session that is not run."""
        with self._order():
            pass

    def _outcome(self, trained: TrainedBehavior) -> BehaviorOutcome:
        behavior = trained.behavior
        model, best = self.results.model(trained.name), trained.checkpoints.best
        return BehaviorOutcome(
            trained.name, behavior.step, trained.max_steps, trained.finished, behavior.mean_return,
            len(behavior.recent), trained.last_summary, model if model.exists() else None,
            behavior.imitation,
            reached=None if trained.target is None else trained.target.reached,
            best=best if trained.evaluations is not None and best.exists() else None,
        )  # fmt: skip

    @contextmanager
    def _order(self) -> Iterator[None]:
        """Close and write everything in the end; a step that fails keeps no other from being taken.

        The first failure is the one that is raised.
        """
        with ExitStack() as stack:
            stack.callback(self.results.unlock)
            if self._writes:
                stack.callback(self._write)
            stack.callback(self.loop.close)
            if self.loop.evaluator is not None:
                stack.callback(self.loop.evaluator.close)
            stack.callback(self.loop.recorder.close)
            stack.callback(self.display.close)
            try:
                yield
            except BaseException as first:
                try:
                    stack.close()
                except Exception as second:
                    log.warning(f"In the end, too: {second}")
                raise first

    def _write(self) -> None:
        """Write what is known of the run, if it ever began."""
        if not self.begun:
            return
        for name, lesson in self.loop.lessons.items():
            self.status.set(name, lesson_num=lesson)
        with ExitStack() as stack:  # each of them, whichever fails
            stack.callback(self.status.write)
            stack.callback(self.timers.write, self.results.timers)
            stack.callback(write_text_atomically, self.results.configuration, self._configuration)


@contextmanager
def frozen_objects() -> Iterator[None]:
    """Spare the garbage collector the objects that are there already: libraries' 400,000, at every full collection."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
