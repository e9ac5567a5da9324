"""Intervals of win rates and fitted ratings, against numbers worked by hand."""

import math

import numpy as np
import pytest

from mlagents.tournament.statistics import fit_ratings, win_interval


def test_wilsons_interval_is_the_one_of_the_textbook():
    # 8 of 10: middle (0.8 + 3.8415 / 20) / 1.38415 = 0.71674, reach 1.96 / 1.38415 sqrt(0.016 + 0.0096) = 0.22657
    assert win_interval(8, 10) == pytest.approx((0.49016, 0.94331), abs=1e-4)
    assert win_interval(0, 10) == pytest.approx((0.0, 0.27753), abs=1e-4)  # z^2 / (n + z^2)
    assert win_interval(10, 10) == pytest.approx((0.72247, 1.0), abs=1e-4)
    assert win_interval(0, 0) is None


def test_the_interval_holds_the_true_rate_as_often_as_it_says():
    rng = np.random.default_rng(0)
    for rate in (0.05, 0.5, 0.9):
        wins = rng.binomial(40, rate, 2000)
        inside = [low <= rate <= high for low, high in (win_interval(int(won), 40) for won in wins)]
        assert 0.93 < np.mean(inside) < 0.985


def test_two_players_are_as_far_apart_as_their_odds():
    ratings, errors = fit_ratings(np.array([[0.0, 30.0], [10.0, 0.0]]))
    lead = 400 * math.log10(30.5 / 10.5)  # each with half a game of the drawn one that is credited
    assert ratings == pytest.approx([1200 + lead / 2, 1200 - lead / 2], abs=1e-6)
    share = 30.5 / 41
    error = 1.959964 * 400 / math.log(10) / 2 / math.sqrt(41 * share * (1 - share))
    assert errors == pytest.approx([error, error], rel=1e-6)


def test_ratings_explain_what_was_played():
    strength = np.array([4.0, 2.0, 1.0, 0.5])
    expected = strength[:, None] / (strength[:, None] + strength)
    np.fill_diagonal(expected, 0.0)
    ratings, errors = fit_ratings(10_000 * expected)
    assert np.diff(ratings) == pytest.approx([-400 * math.log10(2)] * 3, abs=0.1)
    assert ratings.mean() == pytest.approx(1200)
    wider = fit_ratings(100 * expected)[1]
    assert (wider > 9 * errors).all() and (wider < 11 * errors).all()  # a hundredth of the games, ten times the error


def test_who_won_everything_has_a_rating_all_the_same():
    ratings, errors = fit_ratings(np.array([[0.0, 20.0, 20.0], [0.0, 0.0, 10.0], [0.0, 10.0, 0.0]]))
    assert ratings[0] > ratings[1] == pytest.approx(ratings[2])
    assert np.isfinite(ratings).all() and np.isfinite(errors).all() and errors[0] > errors[1]
