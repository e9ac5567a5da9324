import numpy as np

from mlagents_envs.base_env import ActionSpec, BehaviorSpec, DecisionSteps, TerminalSteps
from mlagents_envs.examples.example import vector_sensor
from mlagents_envs.watch.policies import IdlePolicy, RandomPolicy

HYBRID = BehaviorSpec([vector_sensor(2, "sensor")], ActionSpec.create_hybrid(1, (3,)))
NOBODY_ENDED = TerminalSteps.empty(HYBRID)


def asked(n=4, forbidden=None):
    nothing = np.zeros(n, np.float32)
    return DecisionSteps(
        [np.zeros((n, 2), np.float32)], nothing, np.arange(n, dtype=np.int32),
        None if forbidden is None else [np.tile(forbidden, (n, 1))], np.zeros(n, np.int32), nothing,
    )  # fmt: skip


def test_still_does_nothing():
    action = IdlePolicy(HYBRID)(asked(), NOBODY_ENDED)
    assert not action.continuous.any() and not action.discrete.any()


def test_still_takes_the_first_choice_where_nothing_is_forbidden():
    assert IdlePolicy(HYBRID)(asked(forbidden=[True, False, False]), NOBODY_ENDED).discrete.tolist() == [[1]] * 4


def test_random_actions_are_never_masked_and_repeat_with_their_seed():
    action = RandomPolicy(HYBRID, seed=1)(asked(400, forbidden=[False, True, False]), NOBODY_ENDED)
    assert set(action.discrete[:, 0].tolist()) == {0, 2}
    assert -1 <= action.continuous.min() < -0.9 and 0.9 < action.continuous.max() <= 1
    again = RandomPolicy(HYBRID, seed=1)(asked(400, forbidden=[False, True, False]), NOBODY_ENDED)
    assert np.array_equal(action.discrete, again.discrete) and np.array_equal(action.continuous, again.continuous)
