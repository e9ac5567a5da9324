"""Plays policies until so many of their episodes have ended. Nobody learns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from mlagents.envs.finite import refuse_faults
from mlagents.envs.pool import EnvPool, behavior_name
from mlagents.envs.steps import Array, StepBatch
from mlagents.errors import RunError
from mlagents.evaluation.episodes import COLUMNS, OpenEpisodes, Quota
from mlagents.evaluation.result import Evaluation
from mlagents.evaluation.settings import MAX_LENGTH
from mlagents_envs.base_env import ActionTuple, BehaviorSpec

PATIENCE = 20_000  # ticks of an environment in which no agent asks
SILENCE = 1000  # ticks of its environment after which a silent agent counts as gone
CHECKS = 100  # ticks between two looks for silent agents
SUM, MOST_RECENT = 2, 1  # how numbers of the environment are aggregated; anything else is averaged


class Player(Protocol):
    """A policy as a function of numpy arrays, without state."""

    memory_size: int
    """M, numbers that it remembers of each agent; 0 if it is not recurrent."""

    def act(self, obs: tuple[Array, ...], mask: Array, memory: Array) -> tuple[ActionTuple, Array]:
        """Return the actions of n agents, and the (n, M) memory to be given with their next observations.

        obs: one (n, *shape) per sensor. mask: (n, sum of branches) bool, True = allowed. memory: (n, M) float32.
        """


MakePlayer = Callable[[str, BehaviorSpec, int], Player]  # behavior, its specification, environment
Ended = tuple[int, int, Array]  # environment, team, COLUMNS


@dataclass(frozen=True)
class Counts:
    """Which episodes count."""

    episodes: int  # of each team of each behavior
    environments: int = 1  # that the pool has; each plays its share
    behaviors: Collection[str] | None = None  # those that are scored; None: all of them
    max_length: int = MAX_LENGTH  # decisions after which an episode is cut
    patience: int = PATIENCE  # ticks of an environment in which no agent asks

    def __post_init__(self) -> None:
        for name, least in (("episodes", 1), ("max_length", 1)):
            if getattr(self, name) < least:
                raise RunError(f"{name} is {getattr(self, name)}; it must be at least {least}")

    def scores(self, behavior: str) -> bool:
        """Is this behavior scored?"""
        return self.behaviors is None or behavior in self.behaviors

    def share(self, environment: int) -> int:
        """Return how many episodes an environment plays; the first ones play one more where they do not divide."""
        if environment >= self.environments:  # one that was started again: it would repeat what it has played
            return 0
        return self.episodes // self.environments + (environment < self.episodes % self.environments)


class Play:
    """Episodes of a pool. In each environment the first that begin count, and all of those are played to their end.

    What an environment plays does not depend on how fast others are: each has players of its own.
    """

    def __init__(self, pool: EnvPool, make_player: MakePlayer, counts: Counts) -> None:
        """make_player: is called once for each behavior and environment."""
        self.pool = pool
        self.counts = counts
        self.vanished = 0
        """Episodes that would have counted, but whose agents vanished; others were played instead."""
        self._make_player = make_player
        self._players: dict[tuple[str, int], Player] = {}
        self._open: dict[tuple[str, int], OpenEpisodes] = {}  # by team and environment
        self._quotas: dict[str, dict[int, Quota]] = {}  # by team, then environment; of those that are scored
        self._ended: dict[str, list[Ended]] = {}  # by behavior
        self._stats: dict[str, tuple[int, list[float]]] = {}
        self._tick = 0
        self._quiet = 0  # ticks since an agent asked

    @property
    def complete(self) -> bool:
        """Has every episode that counts ended?"""
        quotas = [quota for each in self._quotas.values() for quota in each.values()]
        return bool(quotas) and all(quota.complete for quota in quotas)

    @property
    def ended(self) -> int:
        """How many episodes that count have ended, over all teams."""
        return sum(quota.ended for each in self._quotas.values() for quota in each.values())

    @property
    def wanted(self) -> int:
        """How many are to end, of all teams that have shown up."""
        return self.counts.episodes * len(self._quotas)

    @property
    def stats(self) -> dict[str, float]:
        """Numbers that the environments recorded while they were played, in all episodes, counted or not."""
        return {name: _aggregated(how, values) for name, (how, values) in self._stats.items()}

    def run(
        self, parameters: Mapping[str, Any] | None = None, *, stopped: Callable[[], bool] = lambda: False,
        progress: Callable[[int, int], object] = lambda ended, wanted: None,
    ) -> None:  # fmt: skip
        """Play until everything is complete, or `stopped` is true; what has ended by then is kept.

        parameters: of the environment. progress: is called after every tick with what has ended, and what is to.
        Raises RunError where no agent asks for an action; errors of the environment and of players pass.
        """
        self.pool.reset(parameters)
        while not stopped():
            self.step()
            progress(self.ended, self.wanted)
            if self.complete:
                return

    def step(self) -> None:
        """Play one tick."""
        self._tick += 1
        steps = self.pool.recv()
        for team, step in steps.items():
            refuse_faults(step, team)
        actions = {team: self._answer(team, step) for team, step in steps.items()}
        for name, value, how in self.pool.stats():
            self._stats.setdefault(name, (how, []))[1].append(value)
        if not self._tick % CHECKS:
            self._close_silent()
            self._check_behaviors()
        self._quiet = 0 if any(len(action.continuous) for action in actions.values()) else self._quiet + 1
        if self._quiet > self.counts.patience * self.counts.environments:
            raise RunError(
                f"no agent has asked for an action within {self.counts.patience:,} steps: give the agents of the scene "
                "a Decision Requester"
            )
        if self._stuck:
            self._open.clear()
            self.pool.reset()
        else:
            self.pool.send(actions)

    def results(self) -> dict[str, Evaluation]:
        """Return the episodes that have ended and count, by behavior; only behaviors that are scored."""
        return {behavior: _evaluation(ended) for behavior, ended in self._ended.items()}

    # inside

    @property
    def _stuck(self) -> bool:
        """Is nobody left to begin an episode, because agents play on in those that were cut?"""
        quotas = [quota for each in self._quotas.values() for quota in each.values()]
        if self.complete or any(quota.running for quota in quotas):
            return False
        return any(running.any_cut for running in self._open.values())

    def _answer(self, team: str, step: StepBatch) -> ActionTuple:
        """Take a team's reports and return the actions of who asks."""
        environments = np.unique(step.agent >> 32).tolist()
        if len(environments) == 1:
            return self._answer_in(environments[0], team, step)
        asks = ~step.done
        actions = self.pool.specs[team].action_spec.empty_action(int(asks.sum()))
        place = np.cumsum(asks) - 1  # of each asking row among them
        for environment in environments:
            rows = step.agent >> 32 == environment
            at, own = place[rows & asks], self._answer_in(environment, team, _rows(step, rows))
            actions.continuous[at], actions.discrete[at] = own.continuous, own.discrete
        return actions

    def _answer_in(self, environment: int, team: str, step: StepBatch) -> ActionTuple:
        """Take the reports of a team in one environment, and return the actions of who asks there."""
        behavior, spec = behavior_name(team), self.pool.specs[team]
        if (behavior, environment) not in self._players:
            self._players[behavior, environment] = self._make_player(behavior, spec, environment)
        player = self._players[behavior, environment]
        if (team, environment) not in self._open:
            self._open[team, environment] = OpenEpisodes(player.memory_size, self.counts.max_length)
        running = self._open[team, environment]
        ended = running.receive(step, self._tick, self._quota(team, environment))
        if len(ended):
            self._ended[behavior].append((environment, team_id(team), ended))
        asks = ~step.done
        if not asks.any():
            return spec.action_spec.empty_action(0)
        asking = slice(None) if asks.all() else asks
        action, memory = player.act(tuple(column[asking] for column in step.obs), step.mask[asking], running.memory)
        if player.memory_size:
            running.remember(memory)
        if not np.isfinite(action.continuous).all():
            raise RunError(f"{behavior}: the policy's actions are not finite")
        return action

    def _quota(self, team: str, environment: int) -> Quota:
        behavior = behavior_name(team)
        if not self.counts.scores(behavior):
            return Quota(0)
        if team not in self._quotas:
            self._quotas[team] = {one: Quota(self.counts.share(one)) for one in range(self.counts.environments)}
            self._ended.setdefault(behavior, [])
        return self._quotas[team].setdefault(environment, Quota(0))

    def _close_silent(self) -> None:
        before = self._tick - SILENCE * self.counts.environments  # a tick may be that of one environment alone
        for (team, environment), running in self._open.items():
            self.vanished += running.close_silent(before, self._quota(team, environment))

    def _check_behaviors(self) -> None:
        """Raise RunError if no behavior that is scored has shown up."""
        if self._quotas or not self._open:
            return
        there = dict.fromkeys(behavior_name(team) for team, _ in self._open)
        asked = ", ".join(f"'{name}'" for name in self.counts.behaviors or ())
        raise RunError(f"the environment has no behavior {asked}; it has {', '.join(there)}")


def team_id(team: str) -> int:
    """Return the number in `name?team=1`, 0 where there is none."""
    number = team.partition("?team=")[2]
    return int(number) if number.isdecimal() else 0


def _rows(step: StepBatch, rows: Array) -> StepBatch:
    """Return a batch at (n,) bool rows."""
    stale = step.stale[rows] if len(step.stale) else step.stale
    obs = tuple(column[rows] for column in step.obs)
    columns = {name: getattr(step, name)[rows] for name in ("agent", "mask", "reward", "group", "group_reward", "done")}
    return replace(step, obs=obs, stale=stale, interrupted=step.interrupted[rows], **columns)


def _evaluation(ended: list[Ended]) -> Evaluation:
    """Return episodes in the order in which they began, environment by environment."""
    rows = np.concatenate([np.zeros(0, COLUMNS), *(each for _, _, each in ended)])
    sizes = [len(each) for _, _, each in ended]
    environment = np.repeat(np.array([one for one, _, _ in ended], np.int64), sizes)
    team = np.repeat(np.array([one for _, one, _ in ended], np.int64), sizes)
    order = np.lexsort((rows["number"], environment))
    rows, environment, team = rows[order], environment[order], team[order]
    return Evaluation(
        rows["reward"], rows["group_reward"], rows["decisions"], rows["interrupted"], rows["cut"], team,
        rows["group"], rows["agent"] & 0xFFFFFFFF, environment, rows["began"],
    )  # fmt: skip


def _aggregated(how: int, values: list[float]) -> float:
    if how == SUM:
        return float(np.sum(values))
    return values[-1] if how == MOST_RECENT else float(np.mean(values))
