"""What every kind of run has in common: behaviors that learn, and what of them is recorded, shown and saved."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np

from mlagents.collect.behavior import Behavior
from mlagents.envs.pool import difference
from mlagents.errors import CheckpointError, NonFiniteError, RunError
from mlagents.run.callbacks import Callbacks, CheckpointProgress, SummaryProgress
from mlagents.run.checkpoints import Checkpoints
from mlagents.run.console import Display
from mlagents.run.evaluating import Evaluator, Schedule
from mlagents.run.exploration import ExplorationWatch
from mlagents.run.guard import Guard
from mlagents.run.recorder import Aggregation, Recorder, StatsSummary
from mlagents.run.stopping import Target
from mlagents_envs.base_env import BehaviorSpec

log = logging.getLogger(__name__)


@dataclass
class TrainedBehavior:
    """A behavior of a run: what it is, what is due, and where its files go."""

    name: str
    behavior: Behavior
    checkpoints: Checkpoints
    export: Callable[[Any], None] | None  # writes the policy as ONNX to a path; None: no model is written
    max_steps: int
    summary_freq: int
    checkpoint_interval: int
    guard: Guard
    exploration: ExplorationWatch
    next_summary: int = field(init=False)
    next_checkpoint: int = field(init=False)
    teams: dict[str, BehaviorSpec] = field(default_factory=dict)  # by full name
    last_summary: StatsSummary | None = None  # returns of the episodes of the newest point of the curve that has any
    returns: list[float] = field(default_factory=list)  # of the episodes since the last point of the curve
    evaluations: Schedule | None = None  # None: it is not evaluated
    target: Target | None = None  # None: it is trained for all its steps

    def __post_init__(self) -> None:
        self.next_summary = after(self.behavior.step, self.summary_freq)
        self.next_checkpoint = after(self.behavior.step, self.checkpoint_interval)

    @property
    def finished(self) -> bool:
        """Has it taken all the steps it was given, learned all there is, or does it earn enough?"""
        enough = self.target is not None and self.target.reached is not None
        return enough or self.behavior.converged or self.behavior.step > self.max_steps

    def progress(self) -> tuple[str, int, int, float | None]:
        """Return what every `Progress` record begins with."""
        return self.name, self.behavior.step, self.max_steps, self.behavior.mean_return

    def add_team(self, team: str, spec: BehaviorSpec) -> None:
        """Take a team's agents in; raises RunError if they see or do other things than those of another team."""
        if team in self.teams:
            return
        first, seen = next(iter(self.teams.items()), (team, spec))
        if (what := difference(seen, spec)) is not None:
            raise RunError(
                f"{team} and {first} share the behavior name '{self.name}', and so one policy, but their agents "
                f"differ: {what}; give one of them another behavior name in Unity"
            )
        self.teams[team] = spec


class Loop(ABC):
    """Behaviors, their step budgets, and the end. A subclass writes where rows come from: `begin`, `tick`, `close`."""

    ADVICE: ClassVar[str] = "Try a smaller learning_rate, or normalize: true."
    """What may help where learning went to infinity."""

    def __init__(
        self, recorder: Recorder, display: Display, callbacks: Callbacks | None = None, *, trains: bool = True,
        evaluator: Evaluator | None = None,
    ) -> None:  # fmt: skip
        """trains: False plays and shows, and changes nothing. evaluator: of the behaviors that have `evaluations`."""
        self.recorder = recorder
        self.display = display
        self.callbacks = callbacks or Callbacks()
        self.trains = trains
        self.evaluator = evaluator
        self.behaviors: dict[str, TrainedBehavior] = {}  # by the name of the behavior, without its team
        self._stopped = False

    @abstractmethod
    def begin(self) -> None:
        """Prepare the first tick."""

    @abstractmethod
    def tick(self) -> None:
        """Take experience, learn from it, and end the tick."""

    @abstractmethod
    def close(self) -> None:
        """End what experience comes from; calling it twice is fine."""

    @property
    def lessons(self) -> Mapping[str, int]:
        """The number of the lesson that each environment parameter is in; empty where there is none."""
        return {}

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The environment parameters as they are now; empty where there is no environment."""
        return {}

    @property
    def lessons_are_over(self) -> bool:
        """Is every environment parameter in its last lesson? What is earned in easier ones is not enough to stop."""
        return True

    def stop(self) -> None:
        """Ask the loop to end after the present tick; safe in a signal handler."""
        self._stopped = True

    @property
    def stopped(self) -> bool:
        """Has somebody asked for the end?"""
        return self._stopped

    def finished(self) -> bool:
        """Is there nothing more to do?"""
        if self._stopped:
            return True
        return self.trains and bool(self.behaviors) and all(r.finished for r in self.behaviors.values())

    def run(self) -> None:
        """Loop until every behavior has taken its steps or someone asks to stop; then save, whatever ended it."""
        try:
            self.begin()
            while not self.finished():
                self.tick()
        except BaseException:
            self.save_what_can_be()
            raise
        self.save_all()

    def learn(self) -> None:
        """Let every behavior learn that has steps left."""
        if not self.trains:
            return
        for trained in self.behaviors.values():
            if trained.finished:
                continue
            metrics = trained.guard.learn(self.ADVICE)
            if metrics is not None:
                self.recorder.add(trained.name, metrics)

    def end_tick(self) -> None:
        """Record, show and save what is due."""
        for trained in self.behaviors.values():
            step = trained.behavior.step
            self.display.advance(trained.name, step, trained.behavior.mean_return)
            if step >= trained.next_summary:
                self.record_summary(trained)
            if self.trains and step >= trained.next_checkpoint:
                trained.next_checkpoint = after(step, trained.checkpoint_interval)
                self.save_or_go_on(trained)
            if self.evaluator is not None and trained.evaluations is not None and trained.evaluations.is_due(step):
                self.evaluate(self.evaluator, trained, trained.evaluations)

    def evaluate(self, evaluator: Evaluator, trained: TrainedBehavior, schedule: Schedule) -> None:
        """Let a behavior play apart from training, and keep it if it never was better."""
        policies = {name: each.behavior.trainer.policy for name, each in self.behaviors.items()}
        score = evaluator.evaluate(
            trained.name, schedule, trained.behavior.step, policies, self.parameters, self.lessons,
            stopped=lambda: self._stopped,
            keep=lambda: trained.checkpoints.save_best(self.state_of(trained), trained.export),
        )  # fmt: skip
        if score is not None and trained.target is not None and self.lessons_are_over:
            trained.target.add_evaluation(score, trained.name, trained.behavior.step)

    def record_summary(self, trained: TrainedBehavior) -> None:
        """Make a point of a behavior's curves."""
        self.recorder.add(trained.name, {"Is Training": float(self.trains)}, Aggregation.MOST_RECENT)
        for name, lesson in self.lessons.items():
            self.recorder.add(
                trained.name, {f"Environment/Lesson Number/{name}": float(lesson)}, Aggregation.MOST_RECENT
            )
        due = trained.next_summary
        trained.next_summary = after(trained.behavior.step, trained.summary_freq)
        values = self.recorder.flush(trained.name, due)
        if trained.returns:
            trained.last_summary = StatsSummary(np.array(trained.returns), Aggregation.HISTOGRAM)
            trained.returns.clear()
        if self.trains and (warning := trained.exploration.add(due, values, self.lessons)) is not None:
            log.warning(warning)
        if self.callbacks:
            metrics = {name: summary.aggregated_value for name, summary in values.items()}
            self._stop_if(self.callbacks.on_summary(SummaryProgress(*trained.progress(), metrics)))

    def state_of(self, trained: TrainedBehavior) -> dict[str, Any]:
        """Return what a checkpoint holds."""
        return trained.behavior.state_dict()

    def save(self, trained: TrainedBehavior) -> None:
        """Write a checkpoint and the model beside it."""
        behavior = trained.behavior
        trained.checkpoints.save(
            behavior.step, self.state_of(trained), reward=behavior.reward, export=trained.export
        )

    def save_and_tell(self, trained: TrainedBehavior) -> None:
        """Save, and call who wants to know."""
        self.save(trained)
        if self.callbacks:
            model = trained.checkpoints.model_of(trained.behavior.step)
            exported = model if trained.export is not None else None
            written = CheckpointProgress(*trained.progress(), model.with_suffix(".pt"), exported)
            self._stop_if(self.callbacks.on_checkpoint(written))

    def save_or_go_on(self, trained: TrainedBehavior) -> None:
        """Save; where the disk refuses, go on and try again at the next interval: what is learnt is not lost yet."""
        trained.guard.check()
        try:
            self.save_and_tell(trained)
        except NonFiniteError:
            raise
        except CheckpointError as error:
            log.error(f"{error} Training goes on, and it is tried again at step {trained.next_checkpoint:,}.")

    def save_what_can_be(self) -> None:
        """Save after a failure; what cannot be saved is logged, so that the first cause is the one that is raised."""
        if not self.trains:
            return
        for trained in self.behaviors.values():
            for step in (partial(self.save, trained), trained.checkpoints.finish):
                if (problem := attempt(step)) is not None:
                    log.warning(problem)

    def save_all(self) -> None:
        """Save at the end, and make the last checkpoint's models the run's results."""
        if not self.trains:
            return
        for trained in self.behaviors.values():
            if not trained.checkpoints.holds(trained.behavior.step):
                self.save_and_tell(trained)
            trained.checkpoints.finish()

    def _stop_if(self, asked: bool) -> None:
        if asked:
            self.stop()


def attempt(action: Callable[[], object]) -> str | None:
    """Do something that may fail, and return why it did."""
    try:
        action()
    except (RunError, OSError) as error:
        return str(error)
    return None


def after(step: int, interval: int) -> int:
    """Return the smallest multiple of `interval` above `step`."""
    return (step // interval + 1) * interval
