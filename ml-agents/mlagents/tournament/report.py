"""Standings as a table to read, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from mlagents.tournament.games import Tally
from mlagents.tournament.round_robin import Standings
from mlagents.tournament.statistics import win_interval
from mlagents_envs.printable import printable


def lines(standings: Standings) -> Iterator[str]:
    """Yield what a person reads: ratings, a cross table of win rates, and what every two played."""
    names, n = [printable(name) for name in standings.names], len(standings.names)
    ratings, errors = standings.ratings()
    order = sorted(range(n), key=lambda one: -ratings[one])
    width = max(map(len, names))
    yield f"    {'':<{width}}  {'rating':>13}  {'games':>6} {'won':>6} {'drawn':>6} {'lost':>6}"
    for place, one in enumerate(order, 1):
        total = standings.total(one)
        rating = f"{ratings[one]:.0f} +- {errors[one]:.0f}"
        counts = f"{total.games:>6} {total.wins:>6} {total.draws:>6} {total.losses:>6}"
        yield f"{place:>3} {names[one]:<{width}}  {rating:>13}  {counts}"
    yield ""
    yield "Share of decided games that the row has won against the column:"
    yield f"    {'':<{width}}" + "".join(f"{place:>7}" for place in range(1, n + 1))
    for place, one in enumerate(order, 1):
        cells = ("-" if one == other else _share(standings.tally(one, other)) for other in order)
        yield f"{place:>3} {names[one]:<{width}}" + "".join(f"{cell:>7}" for cell in cells)
    yield ""
    for one, other in combinations(order, 2):
        yield f"{names[one]} - {names[other]}: {_words(standings.tally(one, other))}"


def document(standings: Standings, about: Mapping[str, Any]) -> str:
    """Return everything as JSON. about: what was played, which stands at the top."""
    ratings, errors = standings.ratings()
    entrants = [
        {"name": name, "rating": float(ratings[i]), "rating_error": float(errors[i]), **_numbers(standings.total(i))}
        for i, name in enumerate(standings.names)
    ]
    pairs = [
        {"first": standings.names[i], "second": standings.names[j], **_numbers(standings.tally(i, j))}
        for i, j in combinations(range(len(standings.names)), 2)
    ]
    return json.dumps({**about, "complete": standings.complete, "entrants": entrants, "pairs": pairs}, indent=2)


def _numbers(tally: Tally) -> dict[str, Any]:
    interval = win_interval(tally.wins, tally.decided)
    rate = tally.wins / tally.decided if tally.decided else None
    counts = {"games": tally.games, "wins": tally.wins, "draws": tally.draws, "losses": tally.losses}
    return {**counts, "win_rate": rate, "interval": interval and list(interval)}


def _share(tally: Tally) -> str:
    return f"{tally.wins / tally.decided:.2f}" if tally.decided else "none"


def _words(tally: Tally) -> str:
    counts = f"{tally.wins} won, {tally.draws} drawn, {tally.losses} lost"
    interval = win_interval(tally.wins, tally.decided)
    if interval is None:
        return f"{counts}; no game was decided"
    share = tally.wins / tally.decided
    return f"{counts}; {share:.1%} of the decided ones (95 % {interval.low:.1%} to {interval.high:.1%})"
