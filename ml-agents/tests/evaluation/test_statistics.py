"""Intervals of means: the quantiles of the tables, the textbook's formula, and episodes that are not independent."""

import numpy as np
import pytest

from mlagents.evaluation.statistics import Interval, mean_interval, t_quantile

TABLE = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 9: 2.262, 10: 2.228, 30: 2.042, 60: 2.000, 120: 1.980, 1000: 1.962}


@pytest.mark.parametrize(("degrees", "quantile"), TABLE.items())
def test_quantiles_are_those_of_students_table(degrees, quantile):
    assert t_quantile(degrees) == pytest.approx(quantile, abs=6e-4)


def test_quantiles_go_over_to_the_expansion_without_a_step():
    quantiles = [t_quantile(degrees) for degrees in range(195, 206)]
    steps = -np.diff(quantiles)
    assert (steps > 0).all() and steps.max() < 1.2 * steps.min()


def test_the_interval_of_independent_episodes_is_the_textbooks():
    values = np.array([1.0, 2.0, 4.0, 5.0])  # mean 3, s = sqrt(10 / 3), s / sqrt(4) = 0.9129
    low, high = mean_interval(values, np.arange(4))
    assert (low, high) == pytest.approx((3 - 3.182 * 0.9129, 3 + 3.182 * 0.9129), abs=2e-3)


def test_agents_of_one_group_count_as_one_observation():
    alone = np.array([1.0, 2.0, 4.0, 5.0])
    groups = np.repeat(np.arange(4), 3)  # of three agents each, who all get the same
    assert mean_interval(np.repeat(alone, 3), groups) == pytest.approx(mean_interval(alone, np.arange(4)))
    narrow = mean_interval(np.repeat(alone, 3), np.arange(12))
    assert narrow.high - narrow.low < 0.5 * np.diff(mean_interval(np.repeat(alone, 3), groups))[0]


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0]])
def test_one_observation_has_no_interval(values):
    assert mean_interval(np.array(values), np.zeros(len(values), np.int64)) is None


def test_equal_episodes_have_an_interval_of_no_width():
    assert mean_interval(np.full(5, 0.93), np.arange(5)) == Interval(pytest.approx(0.93), pytest.approx(0.93))


@pytest.mark.parametrize("size", [1, 4])  # agents of a group
def test_the_true_mean_lies_within_in_nineteen_of_twenty_cases(size):
    rng = np.random.default_rng(0)
    cluster = np.repeat(np.arange(12), size)
    cases = [rng.normal(0, 1, 12).repeat(size) for _ in range(2000)]
    within = [low <= 0 <= high for low, high in (mean_interval(values, cluster) for values in cases)]
    assert 0.93 < np.mean(within) < 0.97
