"""Ratings of players: Elo 1978, The Rating of Chessplayers, as Unity's trainers compute them."""

from __future__ import annotations

from collections.abc import Sequence

SCALE = 400.0  # points of lead with which a player wins ten times for each game that it loses
K = 1.0  # points of a win against an opponent that cannot be beaten


def expected_result(own: float, opponent: float) -> float:
    """Return the expected result of a player, 0 to 1: E = 1 / (1 + 10^((R_opponent - R_own) / 400))."""
    return float(1.0 / (1.0 + 10.0 ** ((opponent - own) / SCALE)))


def change(own: float, opponent: float, result: float) -> float:
    """Return what a player's rating gains, and the opponent's loses. result: 1 won, 0.5 drawn, 0 lost."""
    return K * (result - expected_result(own, opponent))


def result_of(final_reward: float) -> float:
    """Return the result of an episode by the sign of its last reward: above 0 won, below 0 lost, 0 drawn."""
    return 0.5 * ((final_reward > 0) - (final_reward < 0)) + 0.5


def hard_weights(win_rates: Sequence[float]) -> list[float]:
    """Return how likely each opponent is to be drawn, in proportion: (1 - p)^2, for the rate p of wins against it.

    Prioritized fictitious self-play, Vinyals et al. 2019, doi:10.1038/s41586-019-1724-z.
    """
    return [(1.0 - rate) ** 2 for rate in win_rates]
