"""The loop: environments step, rows are collected, behaviors learn, and what is due is recorded and saved."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from mlagents.collect.behavior import Behavior
from mlagents.collect.collector import Episodes
from mlagents.data.finite import NotFinite
from mlagents.envs.pool import EnvPool, behavior_name, difference
from mlagents.run.callbacks import Callbacks, CheckpointProgress, EpisodeProgress, SummaryProgress
from mlagents.run.checkpoints import Checkpoints
from mlagents.run.console import Display
from mlagents.run.curriculum import Curriculum
from mlagents.run.errors import CheckpointError, NonFiniteError, RunError
from mlagents.run.recorder import Aggregation, Recorder, StatsSummary
from mlagents_envs.base_env import ActionTuple, BehaviorSpec

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
    next_summary: int = field(init=False)
    next_checkpoint: int = field(init=False)
    teams: dict[str, BehaviorSpec] = field(default_factory=dict)  # by full name
    last_summary: StatsSummary | None = None  # rewards of the episodes of the newest point of the curve that has any

    def __post_init__(self) -> None:
        self.next_summary = after(self.behavior.step, self.summary_freq)
        self.next_checkpoint = after(self.behavior.step, self.checkpoint_interval)

    @property
    def finished(self) -> bool:
        """Has it taken all the steps it was given?"""
        return self.behavior.step > self.max_steps

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


@dataclass(frozen=True)
class Plan:
    """How a run is to be made."""

    train: bool  # False: play and show, change nothing
    overlap: bool  # act before learning: environments in other processes move while we learn
    curriculum: Curriculum = field(default_factory=Curriculum)  # of the environment's parameters
    episodes: int = 0  # after which playing ends; 0 has no end


class Run:
    """Owns the loop, the step budget and the end."""

    def __init__(
        self, pool: EnvPool, add_behavior: Callable[[str, BehaviorSpec], TrainedBehavior], recorder: Recorder,
        display: Display, plan: Plan, callbacks: Callbacks | None = None,
    ) -> None:  # fmt: skip
        self.pool = pool
        self.add_behavior = add_behavior  # makes what a behavior that showed up needs
        self.recorder = recorder
        self.display = display
        self.plan = plan
        self.callbacks = callbacks or Callbacks()
        self.behaviors: dict[str, TrainedBehavior] = {}  # by the name of the behavior, without its team
        self._stopped = False
        self._ended = 0  # episodes

    def stop(self) -> None:
        """Ask the loop to end after the present tick; safe in a signal handler."""
        self._stopped = True

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The environment parameters as they are now."""
        return self.plan.curriculum.parameters

    @property
    def stopped(self) -> bool:
        """Has somebody asked for the end?"""
        return self._stopped

    def finished(self) -> bool:
        """Is there nothing more to do?"""
        if self._stopped or 0 < self.plan.episodes <= self._ended:
            return True
        return self.plan.train and bool(self.behaviors) and all(r.finished for r in self.behaviors.values())

    def run(self) -> None:
        """Loop until every behavior has taken its steps or someone asks to stop; then save, whatever ended it."""
        try:
            self.pool.reset(self.parameters)
            while not self.finished():
                steps = self.pool.recv()
                self.close_lost()
                for team, step in steps.items():
                    trained = self.trained(team)
                    self.record_episodes(trained, trained.behavior.receive(step, team))
                self.record_stats(steps)
                act = partial(self.act, steps)
                for stage in (act, self.learn) if self.plan.overlap else (self.learn, act):
                    stage()
                self.end_tick()
                self.change_lessons()
        except BaseException:
            self.save_what_can_be()
            raise
        self.save_all()

    def record_episodes(self, trained: TrainedBehavior, ended: Episodes | None) -> None:
        """Record the episodes of a behavior that ended in this tick, if any."""
        if ended is None:
            return
        self._ended += len(ended.total)
        self.plan.curriculum.add_returns(trained.name, ended.total.tolist())
        self.recorder.add(trained.name, {"Environment/Cumulative Reward": ended.total}, Aggregation.HISTOGRAM)
        self.recorder.add(trained.name, {"Environment/Episode Length": ended.length})
        if self.callbacks:
            how_far = trained.progress()
            for total, length in zip(ended.total.tolist(), ended.length.tolist(), strict=True):
                self._stop_if(self.callbacks.on_episode(EpisodeProgress(*how_far, total, length)))

    def _stop_if(self, asked: bool) -> None:
        if asked:
            self.stop()

    def record_stats(self, teams: Iterable[str]) -> None:
        """Record the numbers that the environment gave, with every behavior that reported."""
        names = dict.fromkeys(behavior_name(team) for team in teams)
        for stat, value, how in self.pool.stats():
            for name in names:
                self.recorder.add(name, {stat: value}, Aggregation(how))

    def close_lost(self) -> None:
        """End the open segments of environments that are gone."""
        for environment in self.pool.lost():
            for trained in self.behaviors.values():
                trained.behavior.close_environment(environment)

    def trained(self, team: str) -> TrainedBehavior:
        """Return the behavior of a team, `name?team=id`; all teams of a name are one behavior.

        Raises RunError if teams of a name see or do different things.
        """
        name, spec = behavior_name(team), self.pool.specs[team]
        if name not in self.behaviors:
            self.behaviors[name] = self.add_behavior(name, spec)
            self.display.track(name, self.behaviors[name].max_steps)
        self.behaviors[name].add_team(team, spec)
        return self.behaviors[name]

    def act(self, teams: Iterable[str]) -> None:
        """Answer the agents that reported."""
        actions: dict[str, ActionTuple] = {}
        for team in teams:
            trained = self.behaviors[behavior_name(team)]
            actions[team], metrics = trained.behavior.act(team)
            if not np.isfinite(actions[team].continuous).all():
                raise NonFiniteError(
                    f"{trained.name}: the policy's actions at step {trained.behavior.step:,} are not finite. "
                    f"{trained.checkpoints.last_good()}"
                )
            self.recorder.add(trained.name, metrics)
        self.pool.send(actions)

    def learn(self) -> None:
        """Let every behavior learn that has steps left."""
        if not self.plan.train:
            return
        for trained in self.behaviors.values():
            if trained.finished:
                continue
            try:
                metrics = trained.behavior.learn()
            except NotFinite as error:
                raise NonFiniteError(
                    f"{trained.name}: learning went to infinity at step {trained.behavior.step:,}: {error}. "
                    f"{trained.checkpoints.last_good()} Try a smaller learning_rate, normalize: true, or look at the "
                    "rewards that the environment gives."
                ) from error
            if metrics is not None:
                self.recorder.add(trained.name, metrics)

    def end_tick(self) -> None:
        """Record, show and save what is due."""
        for trained in self.behaviors.values():
            step = trained.behavior.step
            self.display.advance(trained.name, step, trained.behavior.mean_return)
            if step >= trained.next_summary:
                self.record_summary(trained)
            if self.plan.train and step >= trained.next_checkpoint:
                trained.next_checkpoint = after(step, trained.checkpoint_interval)
                self.save_or_go_on(trained)

    def change_lessons(self) -> None:
        """Begin the lessons of the curriculum that are due."""
        curriculum = self.plan.curriculum
        if curriculum.finished or not self.plan.train:
            return
        changes = curriculum.advance({name: t.behavior.step / t.max_steps for name, t in self.behaviors.items()})
        if changes.must_reset:
            self.reset(changes.parameters)
        elif changes.parameters:
            self.pool.set_parameters(changes.parameters)

    def reset(self, parameters: Mapping[str, Any]) -> None:
        """Begin new episodes everywhere, with these parameters; what is unfinished is dropped, not learnt from."""
        for trained in self.behaviors.values():
            trained.behavior.drop()
        self.pool.reset(parameters)

    def record_summary(self, trained: TrainedBehavior) -> None:
        """Make a point of a behavior's curves."""
        self.recorder.add(trained.name, {"Is Training": float(self.plan.train)}, Aggregation.MOST_RECENT)
        for name, lesson in self.plan.curriculum.lessons.items():
            self.recorder.add(
                trained.name, {f"Environment/Lesson Number/{name}": float(lesson)}, Aggregation.MOST_RECENT
            )
        due = trained.next_summary
        trained.next_summary = after(trained.behavior.step, trained.summary_freq)
        values = self.recorder.flush(trained.name, due)
        trained.last_summary = values.get("Environment/Cumulative Reward") or trained.last_summary
        if self.callbacks:
            metrics = {name: summary.aggregated_value for name, summary in values.items()}
            self._stop_if(self.callbacks.on_summary(SummaryProgress(*trained.progress(), metrics)))

    def save(self, trained: TrainedBehavior) -> None:
        """Write a checkpoint and the model beside it."""
        behavior = trained.behavior
        trained.checkpoints.save(behavior.step, behavior.state_dict(), reward=behavior.reward, export=trained.export)

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
        try:
            self.save_and_tell(trained)
        except NonFiniteError:
            raise
        except CheckpointError as error:
            log.error(f"{error} Training goes on, and it is tried again at step {trained.next_checkpoint:,}.")

    def save_what_can_be(self) -> None:
        """Save after a failure; what cannot be saved is logged, so that the first cause is the one that is raised."""
        if not self.plan.train:
            return
        for trained in self.behaviors.values():
            for step in (partial(self.save, trained), trained.checkpoints.finish):
                if (problem := attempt(step)) is not None:
                    log.warning(problem)

    def save_all(self) -> None:
        """Save at the end, and make the last checkpoint's models the run's results."""
        if not self.plan.train:
            return
        for trained in self.behaviors.values():
            if not trained.checkpoints.holds(trained.behavior.step):
                self.save_and_tell(trained)
            trained.checkpoints.finish()


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
