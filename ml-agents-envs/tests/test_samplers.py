import pickle

import numpy as np
import pytest

from mlagents_envs.samplers import Gaussian, MultiRangeUniform, Uniform

SAMPLERS = [Uniform(2, 5, seed=1), Gaussian(3, 0.5, seed=2), MultiRangeUniform([[0, 1], [4, 7]], seed=3)]


def test_uniform_values_lie_between_the_ends():
    values = Uniform(2, 5, seed=1)(1000)
    assert values.shape == (1000,)
    assert 2 <= values.min() < 2.1 and 4.9 < values.max() <= 5


def test_gaussian_values_have_the_mean_and_the_deviation():
    values = Gaussian(3, 0.5, seed=2)(4000)
    assert values.mean() == pytest.approx(3, abs=0.05)
    assert values.std() == pytest.approx(0.5, abs=0.05)


def test_intervals_are_as_likely_as_they_are_wide():
    values = MultiRangeUniform([[0, 1], [4, 7]], seed=3)(4000)
    first, second = (values <= 1), (values >= 4)
    assert (first | second).all()
    assert second.mean() == pytest.approx(0.75, abs=0.05)


def test_intervals_without_width_are_equally_likely():
    values = MultiRangeUniform([[1, 1], [4, 4]], seed=3)(1000)
    assert set(values) == {1.0, 4.0}


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: type(sampler).__name__)
def test_a_sampler_goes_on_where_it_was_after_a_journey(sampler):
    before = sampler(3)
    traveled = pickle.loads(pickle.dumps(sampler))
    after = sampler(3)
    assert np.array_equal(traveled(3), after)
    assert not np.array_equal(before, after)


def test_a_seed_gives_the_same_values():
    assert np.array_equal(Uniform(0, 1, seed=5)(9), Uniform(0, 1, seed=5)(9))
    assert not np.array_equal(Uniform(0, 1, seed=5)(9), Uniform(0, 1, seed=6)(9))
