"""The league of a run: which policy answers which team, which team learns, and how good they are.

No trainer knows of it: it decides who acts (`Behavior.act_with`) and whose rows are learned from.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from mlagents.envs.pool import behavior_name
from mlagents.envs.steps import Array, StepBatch
from mlagents.selfplay import elo
from mlagents.selfplay.ladder import Opponent
from mlagents.selfplay.player import Player
from mlagents.selfplay.turns import Turns, team_number

PATIENCE = 10  # ticks after which a team that has not reported is missed
log = logging.getLogger(__name__)


class League:
    """The behaviors of a run that have `self_play`; without any, it does nothing."""

    KEY = "self_play"
    """Of what is kept of it in a checkpoint."""

    def __init__(self) -> None:
        self._players: dict[str, Player] = {}  # by behavior
        self._turns = Turns()
        self._ticks = 0

    @property
    def names(self) -> list[str]:
        """The behaviors that play."""
        return list(self._players)

    @property
    def learning(self) -> int:
        """The number of the team that learns, -1 before one has appeared."""
        return self._turns.learning

    def player(self, name: str) -> Player:
        """Return what plays as a behavior; raises KeyError for one that does not play."""
        return self._players[name]

    @property
    def ratings(self) -> dict[str, float]:
        """The rating of each behavior's newest policy."""
        return {name: player.ladder.latest.rating for name, player in self._players.items()}

    def enter(self, name: str, player: Player, state: Mapping[str, Any] | None = None) -> None:
        """Let a behavior play. state: of `state_of`, where a run goes on.

        Raises KeyError, TypeError, ValueError or RuntimeError for what is no such state.
        """
        if state is None:
            player.begin()
        else:
            player.load_state_dict(state["player"])
            self._turns.load_state_dict(state["turns"])
        self._players[name] = player

    def state_of(self, name: str) -> dict[str, Any]:
        """Return what is kept of a behavior, by the key in its checkpoint; nothing of one that does not play."""
        if name not in self._players:
            return {}
        return {self.KEY: {"player": self._players[name].state_dict(), "turns": self._turns.state_dict()}}

    def add_team(self, team: str) -> None:
        """Decide who answers a team, `name?team=id`, when it first appears."""
        player = self._players.get(behavior_name(team))
        if player is None or team in player.teams:
            return
        player.add_team(team)
        self._turns.add(team_number(team))
        self._place(player, team)

    def receive(self, team: str, step: StepBatch) -> dict[str, float | Array]:
        """Rate the episodes that ended, if the team learns; return what to record."""
        player = self._players.get(behavior_name(team))
        if player is None or team_number(team) != self._turns.learning:
            return {}
        final = player.results[team].receive(step)
        if not len(final):
            return {}
        opponents = [opponent for each in self._players.values() for opponent in each.opponents.values()]
        return self._rate(player.ladder.latest, opponents, final) if opponents else {}

    def advance(self) -> bool:
        """Take snapshots, replace opponents, and let another team learn, where that is due.

        Returns whether another team learns: then everyone is to begin a new episode.
        """
        if not self._players:
            return False
        self._ticks += 1
        for player in self._players.values():
            player.take_snapshot_if_due()
        if self._ticks == PATIENCE:
            self._warn_of_one_team()
        if self._turn_ended() or (self._ticks == PATIENCE and self._learner_is_missing()):
            for player in self._players.values():
                player.ladder.note_swap(player.behavior.opponent_step)
                for team in player.teams:
                    self._place(player, team)
            log.info(f"Team {self._turns.learning} learns now.")
            return True
        for player in self._players.values():
            player.swap_if_due()
        return False

    def metrics(self, name: str) -> dict[str, float]:
        """Return what a behavior's curves show of it besides its games."""
        if name not in self._players:
            return {}
        rates = [each.win_rate for each in self._players[name].ladder.snapshots if each.games]
        lowest = {"Self-play/Lowest Win Rate": min(rates)} if rates else {}
        return {"Self-play/Learning Team": float(self._turns.learning), **lowest}

    def close_environment(self, environment: int) -> None:
        """Forget the episodes of an environment that is gone."""
        for player in self._players.values():
            for results in player.results.values():
                results.close_environment(environment)

    def clear(self) -> None:
        """Forget running episodes: the environments begin anew."""
        for player in self._players.values():
            for results in player.results.values():
                results.clear()

    def _place(self, player: Player, team: str) -> None:
        """Let the newest policy answer a team if it learns, else an opponent."""
        if team_number(team) == self._turns.learning:
            player.let_learn(team)
        else:
            player.let_oppose(team)

    def _rate(self, latest: Opponent, opponents: list[Opponent], final: Array) -> dict[str, float | Array]:
        """Change ratings by the (k,) final rewards of episodes, one after another; return what to record."""
        own, other = np.empty(len(final)), np.empty(len(final))
        results = np.array([elo.result_of(reward) for reward in final.tolist()])
        for i, result in enumerate(results.tolist()):
            other[i] = sum(opponent.rating for opponent in opponents) / len(opponents)
            gained = elo.change(latest.rating, other[i], result)
            latest.rating += gained
            for opponent in opponents:
                opponent.rating -= gained / len(opponents)
                opponent.record(result)
            own[i] = latest.rating
        metrics: dict[str, float | Array] = {"Self-play/ELO": own, "Self-play/Opponent ELO": other}
        others = [opponent for opponent in opponents if opponent is not latest]
        if others:
            metrics["Self-play/Win Rate"] = results
        return metrics | {f"Self-play/Win Rate against {each.name}": results for each in others if each.fixed}

    def _turn_ended(self) -> bool:
        """Let another team learn if that is due; return whether one does."""
        learners = [each for each in self._players.values() if self._turns.learning in each.teams.values()]
        due = [each for each in learners if each.ladder.turn_is_due(each.behavior.step)]
        if not learners or not (due or all(each.finished for each in learners)):
            return False
        for player in learners:
            player.ladder.note_turn(player.behavior.step)
        return self._turns.advance(self._able())

    def _able(self) -> set[int]:
        """Return the numbers of the teams that have steps left to take."""
        return {number for each in self._players.values() if not each.finished for number in each.teams.values()}

    def _learner_is_missing(self) -> bool:
        """Let another team learn if the one whose turn it is has not appeared; return whether one does."""
        numbers = {number for player in self._players.values() for number in player.teams.values()}
        missing = self._turns.learning
        if not numbers or missing in numbers or not self._turns.advance(numbers):
            return False
        log.warning(f"Self-play: it is team {missing}'s turn to learn, but no agent of it has reported.")
        return True

    def _warn_of_one_team(self) -> None:
        numbers = {number for player in self._players.values() for number in player.teams.values()}
        if len(numbers) == 1:
            names = ", ".join(f"behaviors.{name}.self_play" for name in self._players)
            log.warning(
                f"{names}: the environment has one team, {numbers.pop()}, so there is nobody to play against: no "
                "rating moves. Give opponents another team id in Unity, or leave self_play away."
            )
