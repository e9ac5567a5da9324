"""The ladder of one behavior: its snapshots with their ratings, and which of them plays next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mlagents.selfplay import elo
from mlagents.selfplay.settings import SelfPlaySettings, names_of
from mlagents.selfplay.weights import Weights

FADING = 0.99  # weight of all results before, when one is added: policies change
PRIOR = 1.0  # wins, and losses, that every opponent has at the start
NO_SNAPSHOT = -1  # in the place of a snapshot's number


@dataclass(eq=False)
class Opponent:
    """Who can be played against: an earlier self, the present one, or a fixed opponent."""

    name: str
    rating: float
    number: int = NO_SNAPSHOT  # of a snapshot, in the order in which they are taken
    weights: Weights | None = None  # of a snapshot
    wins: float = 0.0  # of the learning team against it; a draw is half a win
    games: float = 0.0
    fixed: bool = False  # it never learns

    @property
    def win_rate(self) -> float:
        """The share of games that the learning team wins against it, about; 0.5 before the first."""
        return (self.wins + PRIOR) / (self.games + 2 * PRIOR)

    def record(self, result: float) -> None:
        """Count a result of the learning team, 0 to 1."""
        self.wins = FADING * self.wins + result
        self.games = FADING * self.games + 1.0

    def numbers(self) -> dict[str, Any]:
        """Return what is known of it, but for its weights."""
        return {name: value for name, value in vars(self).items() if name != "weights"}

    def take_numbers(self, numbers: Mapping[str, Any]) -> None:
        """Take its rating and its games from what `numbers` gave."""
        self.rating = float(numbers["rating"])
        self.wins, self.games = float(numbers["wins"]), float(numbers["games"])


class Ladder:
    """Ratings, snapshots and counters of one behavior.

    Counters of two kinds: `step` is that of the learning policy, `opponent_step` counts what others of its name did.
    """

    def __init__(
        self, settings: SelfPlaySettings, generator: torch.Generator, *, rating: float, step: int = 0
    ) -> None:
        """rating: at the start. step: of the policy at the start."""
        self.settings = settings
        self.latest = Opponent("latest", rating)
        """The present policy."""
        self.snapshots: list[Opponent] = []  # oldest first, `window` at most
        self.fixed = [Opponent(name, settings.initial_elo, fixed=True) for name in names_of(settings.opponents)]
        self._generator = generator
        self._taken = 0  # snapshots, ever
        self._last_snapshot = step
        self._last_turn = step
        self._last_swap = 0

    def take_snapshot(self, step: int, weights: Weights) -> None:
        """Keep weights as an opponent of later, with the present rating; the oldest of too many goes."""
        new = Opponent(f"step {step}", self.latest.rating, number=self._taken, weights=weights)
        self._taken += 1
        self._last_snapshot = step
        self.snapshots = [*self.snapshots, new][-self.settings.window :]

    def snapshot_is_due(self, step: int) -> bool:
        """Have `save_steps` passed since the last snapshot?"""
        return step - self._last_snapshot > self.settings.save_steps

    def swap_is_due(self, opponent_step: int) -> bool:
        """Have the opponents played for `swap_steps`?"""
        return opponent_step - self._last_swap > self.settings.swap_steps

    def turn_is_due(self, step: int) -> bool:
        """Has this policy learned for `team_change` steps?"""
        return step - self._last_turn > self.settings.team_change

    def note_swap(self, opponent_step: int) -> None:
        """Count from here to the next swap."""
        self._last_swap = opponent_step

    def note_turn(self, step: int) -> None:
        """Count from here to the next turn."""
        self._last_turn = step

    def draw(self) -> Opponent:
        """Return who plays next: a fixed opponent, the present policy, or a snapshot."""
        if self.fixed and self._uniform() < self.settings.opponents_ratio:
            return self._one_of(self.fixed)
        if not self.snapshots or self._uniform() < self.settings.play_against_latest_model_ratio:
            return self.latest
        return self._one_of(self.snapshots)

    def _uniform(self) -> float:
        return float(torch.rand((), generator=self._generator, device=self._generator.device))

    def _one_of(self, opponents: Sequence[Opponent]) -> Opponent:
        weights = [1.0] * len(opponents)
        if self.settings.opponent_sampling == "prioritized":
            weights = elo.hard_weights([opponent.win_rate for opponent in opponents])
        chosen = torch.multinomial(torch.tensor(weights), 1, generator=self._generator)
        return opponents[int(chosen)]

    def find(self, numbers: Mapping[str, Any]) -> Opponent | None:
        """Return the opponent that these numbers tell of; None if it is a fixed one that there is no more.

        A snapshot that the window holds no longer is made anew, without its weights.
        """
        number, name = int(numbers["number"]), str(numbers["name"])
        known = [self.latest, *self.fixed] if number == NO_SNAPSHOT else self.snapshots
        found = next((each for each in known if (each.number, each.name) == (number, name)), None)
        if found is None and number != NO_SNAPSHOT:
            found = Opponent(name, 0.0, number)
            found.take_numbers(numbers)
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain containers: a ladder that takes them goes on as this one."""
        kept = [(each.numbers(), each.weights) for each in self.snapshots]
        return {
            "latest": self.latest.numbers(),
            "snapshots": [{**own, "weights": weights.state_dict()} for own, weights in kept if weights is not None],
            "fixed": {each.name: each.numbers() for each in self.fixed},
            "counters": {
                "taken": self._taken, "snapshot": self._last_snapshot, "turn": self._last_turn, "swap": self._last_swap,
            },
            "generator": self._generator.get_state(),
        }  # fmt: skip

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what `state_dict` gave; of more snapshots than the window holds, the newest.

        Raises KeyError, TypeError, ValueError or RuntimeError for what is no such state.
        """
        self.latest.take_numbers(state["latest"])
        self.snapshots = []
        for each in state["snapshots"][-self.settings.window :]:
            weights = Weights.from_state(each["weights"])
            self.snapshots.append(Opponent(str(each["name"]), 0.0, int(each["number"]), weights))
            self.snapshots[-1].take_numbers(each)
        for fixed in self.fixed:
            if fixed.name in state["fixed"]:
                fixed.take_numbers(state["fixed"][fixed.name])
        counters = state["counters"]
        self._taken, self._last_snapshot = int(counters["taken"]), int(counters["snapshot"])
        self._last_turn, self._last_swap = int(counters["turn"]), int(counters["swap"])
        self._generator.set_state(state["generator"])
