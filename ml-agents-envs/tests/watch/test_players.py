import numpy as np

from mlagents_envs.base_env import ActionSpec, BehaviorSpec, DecisionSteps, TerminalSteps
from mlagents_envs.examples.example import vector_sensor
from mlagents_envs.watch.players import Chance, Still

HYBRID = BehaviorSpec([vector_sensor(2, "sensor")], ActionSpec.create_hybrid(1, (3,)))
NOBODY_ENDED = TerminalSteps.empty(HYBRID)


def asked(n=4, forbidden=None):
    nothing = np.zeros(n, np.float32)
    return DecisionSteps(
        [np.zeros((n, 2), np.float32)], nothing, np.arange(n, dtype=np.int32),
        None if forbidden is None else [np.tile(forbidden, (n, 1))], np.zeros(n, np.int32), nothing,
    )  # fmt: skip


def test_still_does_nothing():
    action = Still(HYBRID)(asked(), NOBODY_ENDED)
    assert not action.continuous.any() and not action.discrete.any()


def test_still_takes_the_first_choice_where_nothing_is_forbidden():
    assert Still(HYBRID)(asked(forbidden=[True, False, False]), NOBODY_ENDED).discrete.tolist() == [[1]] * 4


def test_chance_keeps_to_what_is_allowed_and_comes_again_with_its_seed():
    action = Chance(HYBRID, seed=1)(asked(400, forbidden=[False, True, False]), NOBODY_ENDED)
    assert set(action.discrete[:, 0].tolist()) == {0, 2}
    assert -1 <= action.continuous.min() < -0.9 and 0.9 < action.continuous.max() <= 1
    again = Chance(HYBRID, seed=1)(asked(400, forbidden=[False, True, False]), NOBODY_ENDED)
    assert np.array_equal(action.discrete, again.discrete) and np.array_equal(action.continuous, again.continuous)
