"""A behavior that plays in the league: who answers its teams, and what that says of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from mlagents.collect.behavior import Behavior
from mlagents.selfplay.acting import MakeActing, Seat
from mlagents.selfplay.ladder import Ladder, Opponent
from mlagents.selfplay.results import Results
from mlagents.selfplay.turns import team_number
from mlagents.selfplay.weights import Weights


class Player:
    """A behavior with a ladder. Its teams are `name?team=id`; the newest policy answers those that learn."""

    def __init__(
        self, behavior: Behavior, ladder: Ladder, *, fixed: Mapping[str, MakeActing], max_steps: int, seed: int
    ) -> None:
        """fixed: makes opponents that never learn, by the names that the ladder has for them.

        seed: of what opponents draw.
        """
        self.behavior = behavior
        self.ladder = ladder
        self.opponents: dict[str, Opponent] = {}  # who answers each team that does not learn
        self.results: dict[str, Results] = {}  # by team
        self._fixed = fixed
        self._max_steps = max_steps
        self._seed = seed
        self._seats: dict[str, Seat] = {}  # by team
        self._kept_seats: dict[str, Any] = {}  # of a run that goes on, until their teams appear
        self._kept_generators: dict[str, torch.Tensor] = {}  # likewise

    @property
    def finished(self) -> bool:
        """Has it taken all the steps it was given?"""
        return self.behavior.step > self._max_steps

    @property
    def teams(self) -> dict[str, int]:
        """The numbers of the teams that have appeared."""
        return {team: team_number(team) for team in self._seats}

    def seat(self, team: str) -> Seat:
        """Return who answers a team when it does not learn; raises KeyError for a team that has not appeared."""
        return self._seats[team]

    def begin(self) -> None:
        """Take the first snapshot: of the policy as it is before it learns."""
        self.ladder.take_snapshot(self.behavior.step, Weights.of(self.behavior.newest.policy))

    def add_team(self, team: str) -> None:
        """Make what a team needs."""
        generator = torch.Generator(self.behavior.trainer.device)
        words = np.random.SeedSequence([self._seed, *team.encode()]).generate_state(1, np.uint32)
        generator.manual_seed(int(words[0]))
        if (kept := self._kept_generators.pop(team, None)) is not None:
            generator.set_state(kept)
        self.results[team] = Results()
        self._seats[team] = Seat(self.behavior.newest, generator, self._fixed)

    def let_learn(self, team: str) -> None:
        """Let the newest policy answer a team, and learn from its rows."""
        self._kept_seats.pop(team, None)
        self.opponents.pop(team, None)
        self.behavior.act_with(None, team)

    def let_oppose(self, team: str) -> None:
        """Let an opponent answer a team, and nobody learn from its rows.

        It is drawn, unless there was one when the run ended that goes on now.
        """
        kept = self._kept_seats.pop(team, None)
        opponent = None if kept is None else self.ladder.find(kept["opponent"])
        weights = None if kept is None or kept["weights"] is None else Weights.from_state(kept["weights"])
        if opponent is None:
            opponent = self.ladder.draw()
            weights = opponent.weights
        if opponent.fixed:
            self._seats[team].seat_fixed(opponent.name)
        else:
            self._seats[team].seat_copy(weights)
        self.opponents[team] = opponent
        self.behavior.act_with(self._seats[team], team, learn=False)
        self.behavior.forget_memory(team)

    def take_snapshot_if_due(self) -> None:
        """Keep the newest policy as an opponent of later, every `save_steps`."""
        if self.ladder.snapshot_is_due(self.behavior.step):
            self.begin()

    def swap_if_due(self) -> None:
        """Replace the opponents, every `swap_steps` of theirs."""
        if self.ladder.swap_is_due(self.behavior.opponent_step):
            self.ladder.note_swap(self.behavior.opponent_step)
            for team in list(self.opponents):
                self.let_oppose(team)

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain containers: a player that takes them goes on as this one."""
        seats = {
            team: {
                "opponent": opponent.numbers(),
                "weights": None if (weights := self._seats[team].weights) is None else weights.state_dict(),
            }
            for team, opponent in self.opponents.items()
        }
        generators = {team: seat.generator.get_state() for team, seat in self._seats.items()}
        return {
            "ladder": self.ladder.state_dict(),
            "opponent_step": self.behavior.opponent_step,
            "seats": {**self._kept_seats, **seats},
            "generators": {**self._kept_generators, **generators},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what `state_dict` gave; raises KeyError, TypeError, ValueError or RuntimeError for what is no such."""
        self.ladder.load_state_dict(state["ladder"])
        self.behavior.opponent_step = int(state["opponent_step"])
        self._kept_seats, self._kept_generators = dict(state["seats"]), dict(state["generators"])
