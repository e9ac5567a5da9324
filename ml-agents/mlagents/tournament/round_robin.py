"""Everyone plays everyone, on both sides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from mlagents.envs.pool import EnvPool
from mlagents.tournament.entrants import Entrant
from mlagents.tournament.games import Games, Tally
from mlagents.tournament.statistics import Array, fit_ratings


@dataclass(frozen=True)
class Standings:
    """What became of a tournament; n is the number of those who took part."""

    names: list[str]
    tallies: dict[tuple[int, int], Tally]  # of the first against the second, by their numbers, for i < j
    complete: bool  # have all games been played?

    def tally(self, one: int, other: int) -> Tally:
        """Return the games of one against another."""
        if one > other:
            return self.tally(other, one).turned()
        return self.tallies.get((one, other), Tally())

    def total(self, one: int) -> Tally:
        """Return all games of one."""
        return sum((self.tally(one, other) for other in range(len(self.names)) if other != one), Tally())

    def ratings(self) -> tuple[Array, Array]:
        """Return (n,) ratings and how far the true ones may lie from them; see `fit_ratings`."""
        n = len(self.names)
        points = [[self.tally(i, j).points if i != j else 0.0 for j in range(n)] for i in range(n)]
        return fit_ratings(np.array(points))


def round_robin(
    pool: EnvPool, entrants: Sequence[Entrant], games: int, *, parameters: Mapping[str, Any], seed: int,
    max_length: int, stopped: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], object] = lambda played, wanted: None,
) -> Standings:  # fmt: skip
    """Play so many games of every two, half of them on each side; the pool stays open.

    progress: is called with the numbers of games that have ended and that are to. Raises RunError.
    """
    pairs = list(combinations(range(len(entrants)), 2))
    tallies: dict[tuple[int, int], Tally] = {}
    for number, (i, j) in enumerate(pairs):
        for side, count in enumerate((games - games // 2, games // 2)):
            if not count or stopped():
                continue
            sides = [entrants[i].make_player, entrants[j].make_player]
            own = seed + 4 * number + 2 * side
            match = Games(pool, sides[::-1] if side else sides, count, seed=own, max_length=max_length)
            tally = match.play(parameters, stopped=stopped)
            tallies[i, j] = tallies.get((i, j), Tally()) + (tally.turned() if side else tally)
            progress(sum(each.games for each in tallies.values()), games * len(pairs))
    return Standings([entrant.name for entrant in entrants], tallies, not stopped())
