"""Runs with environments: they step, rows are collected, behaviors learn, and the curriculum goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from mlagents.collect.collector import Episodes
from mlagents.envs.pool import EnvPool, behavior_name
from mlagents.run.callbacks import Callbacks, EpisodeProgress
from mlagents.run.console import Display
from mlagents.run.curriculum import NONE, Curriculum
from mlagents.run.evaluating import Evaluator
from mlagents.run.loop import Loop, TrainedBehavior
from mlagents.run.recorder import Aggregation, Recorder
from mlagents.selfplay.league import League
from mlagents_envs.base_env import ActionTuple, BehaviorSpec

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """How a run is to be made."""

    train: bool  # False: play and show, change nothing
    overlap: bool  # act before learning: environments in other processes move while we learn
    curriculum: Curriculum = field(default_factory=Curriculum)  # of the environment's parameters
    episodes: int = 0  # after which playing ends; 0 has no end
    league: League = field(default_factory=League)  # of the behaviors with self-play


class Run(Loop):
    """Behaviors that learn from, or play in, the environments of a pool."""

    ADVICE = "Try a smaller learning_rate, normalize: true, or look at the rewards that the environment gives."

    def __init__(
        self, pool: EnvPool, add_behavior: Callable[[str, BehaviorSpec], TrainedBehavior], recorder: Recorder,
        display: Display, plan: Plan, callbacks: Callbacks | None = None, evaluator: Evaluator | None = None,
    ) -> None:  # fmt: skip
        super().__init__(recorder, display, callbacks, trains=plan.train, evaluator=evaluator)
        self.pool = pool
        self.add_behavior = add_behavior  # makes what a behavior that showed up needs
        self.plan = plan
        self._ended = 0  # episodes

    @property
    def lessons(self) -> Mapping[str, int]:
        return self.plan.curriculum.lessons

    @property
    def parameters(self) -> Mapping[str, Any]:
        return self.plan.curriculum.parameters

    @property
    def lessons_are_over(self) -> bool:
        return self.plan.curriculum.finished

    def finished(self) -> bool:
        return super().finished() or 0 < self.plan.episodes <= self._ended

    def begin(self) -> None:
        """Let the environments begin their first episodes."""
        self.pool.reset(self.parameters)

    def tick(self) -> None:
        """Take what agents report, answer them, and learn."""
        steps = self.pool.recv()
        self.close_lost()
        for team, step in steps.items():
            trained = self.trained(team)
            self.recorder.add(trained.name, self.plan.league.receive(team, step))
            self.record_episodes(trained, trained.guard.receive(step, team))
        self.record_stats(steps)
        act = partial(self.act, steps)
        for stage in (act, self.learn) if self.plan.overlap else (self.learn, act):
            stage()
        turned = self.plan.league.advance()
        self.end_tick()
        self.change_lessons(turned=turned)

    def close(self) -> None:
        """End the environments."""
        self.pool.close()

    def record_episodes(self, trained: TrainedBehavior, ended: Episodes | None) -> None:
        """Record the episodes of a behavior that ended in this tick, if any."""
        if ended is None:
            return
        self._ended += len(ended.total)
        returns = ended.earned.tolist()
        trained.returns += returns
        self.plan.curriculum.add_returns(trained.name, returns)
        self.recorder.add(trained.name, {"Environment/Cumulative Reward": ended.total}, Aggregation.HISTOGRAM)
        self.recorder.add(trained.name, {"Environment/Episode Length": ended.length})
        if len(ended.group):
            groups = {"Environment/Group Cumulative Reward": ended.group}
            self.recorder.add(trained.name, groups, Aggregation.HISTOGRAM)
        if trained.target is not None and self.lessons_are_over:
            trained.target.add_returns(returns, trained.name, trained.behavior.step)
        if self.callbacks:
            how_far = trained.progress()
            for total, length in zip(ended.total.tolist(), ended.length.tolist(), strict=True):
                self._stop_if(self.callbacks.on_episode(EpisodeProgress(*how_far, total, length)))

    def record_stats(self, teams: Iterable[str]) -> None:
        """Record the numbers that the environment gave, with every behavior that reported."""
        names = dict.fromkeys(behavior_name(team) for team in teams)
        for stat, value, how in self.pool.stats():
            for name in names:
                self.recorder.add(name, {stat: value}, Aggregation(how))

    def close_lost(self) -> None:
        """End the open segments of environments that are gone."""
        for environment in self.pool.lost():
            self.plan.league.close_environment(environment)
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
        self.plan.league.add_team(team)
        return self.behaviors[name]

    def act(self, teams: Iterable[str]) -> None:
        """Answer the agents that reported."""
        actions: dict[str, ActionTuple] = {}
        for team in teams:
            trained = self.behaviors[behavior_name(team)]
            actions[team], metrics = trained.guard.act(team)
            self.recorder.add(trained.name, metrics)
        self.pool.send(actions)

    def change_lessons(self, *, turned: bool = False) -> None:
        """Begin the lessons of the curriculum that are due. turned: another team learns, so everyone begins anew."""
        curriculum = self.plan.curriculum
        changes = NONE
        if self.plan.train and not curriculum.finished:
            changes = curriculum.advance(self._progress(), self.plan.league.ratings)
        if changes.must_reset or turned:
            self.reset(changes.parameters, drop=changes.must_reset)
        elif changes.parameters:
            self.pool.set_parameters(changes.parameters)

    def state_of(self, trained: TrainedBehavior) -> dict[str, Any]:
        return super().state_of(trained) | self.plan.league.state_of(trained.name)

    def save(self, trained: TrainedBehavior) -> None:
        super().save(trained)
        if trained.name in (ratings := self.plan.league.ratings):
            trained.checkpoints.status.set(trained.name, elo=ratings[trained.name])

    def save_and_tell(self, trained: TrainedBehavior) -> None:
        """Save, and with a behavior of the league all others of it: what is kept of the league belongs together."""
        super().save_and_tell(trained)
        if trained.name in (names := self.plan.league.names):
            for other in names:
                if other != trained.name:
                    self.save(self.behaviors[other])

    def record_summary(self, trained: TrainedBehavior) -> None:
        if self.plan.train:
            self.explain_lessons(trained)
        self.recorder.add(trained.name, self.plan.league.metrics(trained.name), Aggregation.MOST_RECENT)
        super().record_summary(trained)

    def explain_lessons(self, trained: TrainedBehavior) -> None:
        """Record and log how far the lessons are from their ends that wait for this behavior, or for an unknown one."""
        for standing in self.plan.curriculum.standings(self._progress(), self.plan.league.ratings):
            if standing.behavior == trained.name or not standing.appeared:
                self.recorder.add(trained.name, standing.metrics(), Aggregation.MOST_RECENT)
                log.info(f"Parameter {standing}.")

    def _progress(self) -> dict[str, float]:
        """Return which share of its max_steps each behavior has taken."""
        return {name: trained.behavior.step / trained.max_steps for name, trained in self.behaviors.items()}

    def reset(self, parameters: Mapping[str, Any], *, drop: bool = True) -> None:
        """Begin new episodes everywhere, with these parameters.

        drop: what is not learned from yet is dropped; otherwise rows count until their last.
        """
        for trained in self.behaviors.values():
            if drop:
                trained.behavior.drop()
            else:
                trained.behavior.close_segments()
        self.plan.league.clear()
        self.pool.reset(parameters)
