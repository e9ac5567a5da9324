"""Games of two sides: who plays a side, who won, and which games count."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlagents.envs.finite import refuse_faults
from mlagents.envs.pool import EnvPool, behavior_name
from mlagents.envs.steps import Array, StepBatch
from mlagents.errors import RunError
from mlagents.evaluation.episodes import OpenEpisodes, Quota
from mlagents.evaluation.play import PATIENCE, Player, team_id
from mlagents.evaluation.result import ALONE
from mlagents_envs.base_env import ActionTuple, BehaviorSpec

SILENCE = 1000  # ticks after which a silent agent counts as gone
CHECKS = 100  # ticks between two looks for silent agents
MakePlayer = Callable[[str, BehaviorSpec, int], Player]  # behavior, its specification, seed
Game = tuple[int, int]  # a group, or an agent that is in none as a negative number, and the tick in which it began


@dataclass(frozen=True)
class Tally:
    """What became of some games, seen from one side."""

    wins: int = 0
    draws: int = 0  # also games that a limit of steps has ended
    losses: int = 0

    @property
    def games(self) -> int:
        """All of them."""
        return self.wins + self.draws + self.losses

    @property
    def decided(self) -> int:
        """Those that somebody has won."""
        return self.wins + self.losses

    @property
    def points(self) -> float:
        """1 for each win, 0.5 for each draw."""
        return self.wins + self.draws / 2

    def turned(self) -> Tally:
        """Return the same games seen from the other side."""
        return Tally(self.losses, self.draws, self.wins)

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.wins + other.wins, self.draws + other.draws, self.losses + other.losses)


class Games:
    """Plays games of two sides in one environment; a side is all teams of one number.

    The first games that begin count, and all of them are played to their end: short ones are not favored. The last
    reward of the side with the lower number, that of its groups included, says who won.
    """

    def __init__(
        self, pool: EnvPool, sides: Sequence[MakePlayer], games: int, *, seed: int, max_length: int
    ) -> None:
        """sides: who plays the side of the lower number, and the other one. max_length: decisions of a game."""
        self.pool = pool
        self._sides = sides
        self._wanted = games
        self._seed = seed
        self._max_length = max_length
        self._numbers: list[int] = []  # of the sides, ascending
        self._counted = ""  # the team whose episodes are counted
        self._quota = Quota(0)
        self._players: dict[str, Player] = {}  # by team
        self._open: dict[str, OpenEpisodes] = {}  # by team
        self._rewards: dict[Game, float] = {}  # the last one of each game that counts
        self._tick = 0

    def play(self, parameters: Mapping[str, Any], *, stopped: Callable[[], bool] = lambda: False) -> Tally:
        """Play until the games have ended, or `stopped` is true; raises RunError if there are not two sides."""
        self.pool.reset(parameters)
        quiet = 0
        while not (self._counted and self._quota.complete) and not stopped():
            asked = self._step()
            quiet = 0 if asked else quiet + 1
            if quiet > PATIENCE:
                raise RunError(f"no agent has asked for an action within {PATIENCE:,} steps")
        rewards = list(self._rewards.values())
        wins, losses = sum(reward > 0 for reward in rewards), sum(reward < 0 for reward in rewards)
        return Tally(wins, len(rewards) - wins - losses, losses)

    def _step(self) -> bool:
        """Play one tick; return whether an agent asked."""
        self._tick += 1
        steps = self.pool.recv()
        if not self._counted and steps:
            self._begin(steps)
        for team, step in steps.items():
            refuse_faults(step, team)
        actions = {team: self._answer(team, step) for team, step in steps.items()}
        if not self._tick % CHECKS:
            for team, running in self._open.items():
                running.close_silent(self._tick - SILENCE, self._quota_of(team))
        if self._is_stuck():
            self._open.clear()
            self.pool.reset()
        else:
            self.pool.send(actions)
        return any(len(action.continuous) for action in actions.values())

    def _begin(self, steps: Mapping[str, StepBatch]) -> None:
        """Learn from the first tick which sides there are, and how many agents play a game."""
        self._numbers = sorted({team_id(team) for team in steps})
        if len(self._numbers) != len(self._sides):
            raise RunError(
                f"a tournament needs an environment of two teams, and this one has {len(self._numbers)}: "
                f"{', '.join(steps)}. Give the agents of the two sides the team ids 0 and 1 in Unity"
            )
        self._counted = next(team for team in steps if team_id(team) == self._numbers[0])
        agents = steps[self._counted]
        pairs = zip(agents.agent.tolist(), agents.group.tolist(), strict=True)
        games = len({_side_of(agent, group) for agent, group in pairs})
        self._quota = Quota(-(-self._wanted * len(agents.agent) // games))

    def _quota_of(self, team: str) -> Quota:
        return self._quota if team == self._counted else Quota(0)

    def _is_stuck(self) -> bool:
        """Is nobody left to begin a game, because agents play on in those that were cut?"""
        idle = bool(self._counted) and not self._quota.complete and not self._quota.running
        return idle and any(running.any_cut for running in self._open.values())

    def _answer(self, team: str, step: StepBatch) -> ActionTuple:
        """Take a team's reports and return the actions of who asks."""
        if team not in self._players:
            self._add(team)
        player, running = self._players[team], self._open.get(team)
        if running is None:
            running = self._open[team] = OpenEpisodes(player.memory_size, self._max_length)
        ended = running.receive(step, self._tick, self._quota_of(team))
        if len(ended):
            self._record(step, ended)
        asks = ~step.done
        if not asks.any():
            return self.pool.specs[team].action_spec.empty_action(0)
        action, memory = player.act(tuple(column[asks] for column in step.obs), step.mask[asks], running.memory)
        if player.memory_size:
            running.remember(memory)
        if not np.isfinite(action.continuous).all():
            raise RunError(f"{team}: the actions of who plays it are not finite")
        return action

    def _add(self, team: str) -> None:
        if team_id(team) not in self._numbers:
            raise RunError(f"{team} has appeared in the middle of a game of the teams {self._numbers}")
        side = self._numbers.index(team_id(team))
        self._players[team] = self._sides[side](behavior_name(team), self.pool.specs[team], self._seed + side)

    def _record(self, step: StepBatch, ended: Array) -> None:
        """Keep the last rewards of episodes that count and ended; of mates, that of the last one counts."""
        done = np.flatnonzero(step.done)
        last = dict(zip(step.agent[done].tolist(), (step.reward + step.group_reward)[done].tolist(), strict=True))
        for row in ended:
            game = (_side_of(int(row["agent"]), int(row["group"])), int(row["began"]))
            undecided = bool(row["cut"] or row["interrupted"])
            self._rewards[game] = 0.0 if undecided else last[int(row["agent"])]


def _side_of(agent: int, group: int) -> int:
    """Return what plays a game on one side: a group, or an agent alone, as a number of its own."""
    return group if group != ALONE else -1 - agent
