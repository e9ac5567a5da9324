"""The loop: the world moves, rows come home, behaviors learn, and the house is kept."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from mlagents.collect.behavior import Behavior
from mlagents.collect.collector import Episodes
from mlagents.data.finite import NotFinite
from mlagents.envs.pool import EnvPool, behavior_name, difference
from mlagents.run.checkpoints import Checkpoints
from mlagents.run.console import Display
from mlagents.run.errors import CheckpointError, NonFiniteError, RunError
from mlagents.run.recorder import Aggregation, Recorder, StatsSummary
from mlagents_envs.base_env import ActionTuple, BehaviorSpec

log = logging.getLogger(__name__)


@dataclass
class Resident:
    """A behavior in the house: what it is, what it owes, and where its files go."""

    name: str
    behavior: Behavior
    checkpoints: Checkpoints
    export: Callable[[Any], None]  # writes the policy as ONNX to a path
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
    parameters: Mapping[str, Any]  # of the environment, pushed at the first reset
    lessons: Mapping[str, int]  # the lesson that each parameter is in
    episodes: int = 0  # after which playing ends; 0 has no end


class Run:
    """Owns the loop, the step budget and the end."""

    def __init__(
        self, pool: EnvPool, admit: Callable[[str, BehaviorSpec], Resident], recorder: Recorder, display: Display,
        plan: Plan,
    ) -> None:  # fmt: skip
        self.pool = pool
        self.admit = admit  # makes a resident of a behavior that showed up
        self.recorder = recorder
        self.display = display
        self.plan = plan
        self.residents: dict[str, Resident] = {}  # by the name of the behavior, without its team
        self._stopped = False
        self._ended = 0  # episodes

    def stop(self) -> None:
        """Ask the loop to end after the present tick; safe in a signal handler."""
        self._stopped = True

    def finished(self) -> bool:
        if self._stopped or 0 < self.plan.episodes <= self._ended:
            return True
        return self.plan.train and bool(self.residents) and all(r.finished for r in self.residents.values())

    def run(self) -> None:
        """Loop until every behavior has taken its steps or someone asks to stop; then save, whatever ended it."""
        try:
            self.pool.reset(self.plan.parameters)
            while not self.finished():
                said = self.pool.recv()
                self.forget_lost()
                for name, step in said.items():
                    resident = self.resident(name)
                    self.record_episodes(resident, resident.behavior.receive(step, name))
                self.record_stats(said)
                act = partial(self.act, said)
                for stage in (act, self.learn) if self.plan.overlap else (self.learn, act):
                    stage()
                self.keep_house()
        except BaseException:
            self.save_what_can_be()
            raise
        self.save_all()

    def record_episodes(self, resident: Resident, ended: Episodes | None) -> None:
        if ended is not None:
            self._ended += len(ended.total)
            self.recorder.add(resident.name, {"Environment/Cumulative Reward": ended.total}, Aggregation.HISTOGRAM)
            self.recorder.add(resident.name, {"Environment/Episode Length": ended.length})

    def record_stats(self, said: Iterable[str]) -> None:
        """Record the numbers that the environment gave, with every behavior that spoke."""
        names = dict.fromkeys(behavior_name(name) for name in said)
        for stat, value, how in self.pool.stats():
            for name in names:
                self.recorder.add(name, {stat: value}, Aggregation(how))

    def forget_lost(self) -> None:
        for world in self.pool.lost():
            for resident in self.residents.values():
                resident.behavior.close_environment(world)

    def resident(self, team: str) -> Resident:
        """Return the behavior of a team, `name?team=id`; all teams of a name are one behavior.

        Raises RunError if teams of a name see or do different things.
        """
        name, spec = behavior_name(team), self.pool.specs[team]
        if name not in self.residents:
            self.residents[name] = self.admit(name, spec)
            self.display.track(name, self.residents[name].max_steps)
        self.residents[name].add_team(team, spec)
        return self.residents[name]

    def act(self, said: Iterable[str]) -> None:
        """Answer the behaviors that spoke."""
        actions: dict[str, ActionTuple] = {}
        for name in said:
            resident = self.residents[behavior_name(name)]
            actions[name], metrics = resident.behavior.act(name)
            if not np.isfinite(actions[name].continuous).all():
                raise NonFiniteError(
                    f"{resident.name}: the policy's actions at step {resident.behavior.step:,} are not finite. "
                    f"{resident.checkpoints.last_good()}"
                )
            self.recorder.add(resident.name, metrics)
        self.pool.send(actions)

    def learn(self) -> None:
        if not self.plan.train:
            return
        for resident in self.residents.values():
            if resident.finished:
                continue
            try:
                metrics = resident.behavior.learn()
            except NotFinite as error:
                raise NonFiniteError(
                    f"{resident.name}: learning went to infinity at step {resident.behavior.step:,}: {error}. "
                    f"{resident.checkpoints.last_good()} Try a smaller learning_rate, normalize: true, or look at the "
                    "rewards that the environment gives."
                ) from error
            if metrics is not None:
                self.recorder.add(resident.name, metrics)

    def keep_house(self) -> None:
        """Record, show and save what is due."""
        for resident in self.residents.values():
            step = resident.behavior.step
            self.display.advance(resident.name, step, resident.behavior.mean_return)
            if step >= resident.next_summary:
                self.record_summary(resident)
            if self.plan.train and step >= resident.next_checkpoint:
                resident.next_checkpoint = after(step, resident.checkpoint_interval)
                self.save_or_go_on(resident)

    def record_summary(self, resident: Resident) -> None:
        self.recorder.add(resident.name, {"Is Training": float(self.plan.train)}, Aggregation.MOST_RECENT)
        for name, lesson in self.plan.lessons.items():
            self.recorder.add(
                resident.name, {f"Environment/Lesson Number/{name}": float(lesson)}, Aggregation.MOST_RECENT
            )
        due = resident.next_summary
        resident.next_summary = after(resident.behavior.step, resident.summary_freq)
        rewards = self.recorder.flush(resident.name, due).get("Environment/Cumulative Reward")
        resident.last_summary = rewards or resident.last_summary

    def save(self, resident: Resident) -> None:
        """Write a checkpoint and the model beside it."""
        state = resident.behavior.state_dict()
        state["rng"] = {"torch": torch.get_rng_state()}
        reward = resident.behavior.reward
        resident.checkpoints.save(resident.behavior.step, state, reward=reward, export=resident.export)

    def save_or_go_on(self, resident: Resident) -> None:
        """Save; where the disk refuses, go on and try again at the next interval: what is learnt is not lost yet."""
        try:
            self.save(resident)
        except NonFiniteError:
            raise
        except CheckpointError as error:
            log.error(f"{error} Training goes on, and it is tried again at step {resident.next_checkpoint:,}.")

    def save_what_can_be(self) -> None:
        """Save after a failure: what cannot be saved is logged, so that the first cause stays the one that is told."""
        if not self.plan.train:
            return
        for resident in self.residents.values():
            for step in (partial(self.save, resident), resident.checkpoints.finish):
                if (problem := attempt(step)) is not None:
                    log.warning(problem)

    def save_all(self) -> None:
        if not self.plan.train:
            return
        for resident in self.residents.values():
            if not resident.checkpoints.holds(resident.behavior.step):
                self.save(resident)
            resident.checkpoints.finish()


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
