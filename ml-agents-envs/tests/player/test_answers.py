import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlagents_envs.base_env import ActionSpec, ActionTuple
from mlagents_envs.communicator_objects.unity_rl_input_pb2 import UnityRLInputProto
from mlagents_envs.exception import UnityActionException
from mlagents_envs.player.answers import ActionReader


def answers(action, *, deprecated=False):
    """Return the actions of n agents as messages."""
    message = UnityRLInputProto.ListAgentActionProto()
    for continuous, discrete in zip(action.continuous.tolist(), action.discrete.tolist(), strict=True):
        row = message.value.add(continuous_actions=continuous, discrete_actions=discrete)
        if deprecated:
            row.vector_actions_deprecated.extend([*continuous, *discrete])
    return message


def actions(n, continuous, branches, largest, seed):
    rng = np.random.default_rng(seed)
    discrete = rng.integers(0, largest, (n, branches), endpoint=True).astype(np.int32)
    return ActionTuple(rng.normal(size=(n, continuous)).astype(np.float32), discrete)


@settings(deadline=None, max_examples=100)
@given(
    st.integers(1, 5), st.integers(0, 40), st.integers(0, 3), st.sampled_from([1, 127, 128, 300, 2**31 - 1]),
    st.booleans(), st.integers(0, 99),
)  # fmt: skip
def test_actions_arrive_as_they_were_sent(n, continuous, branches, largest, deprecated, seed):
    sent = actions(n, continuous, branches, largest, seed)
    reader = ActionReader("B", ActionSpec(continuous, (2**31 - 1,) * branches))
    got = reader.read(answers(sent, deprecated=deprecated), n)
    assert np.array_equal(got.continuous, sent.continuous)
    assert np.array_equal(got.discrete, sent.discrete)
    assert (got.continuous.dtype, got.discrete.dtype) == (np.float32, np.int32)


def test_answers_of_different_lengths_are_read_too():
    sent = ActionTuple(np.array([[0.5], [-1.0], [2.0]]), np.array([[3, 500], [200, 4], [-1, 2**30]]))
    message = answers(sent)
    message.value[1].value = 0.25  # a field that trainers never send
    got = ActionReader("B", ActionSpec(1, (9, 9))).read(message, 3)
    assert np.array_equal(got.continuous, sent.continuous)
    assert np.array_equal(got.discrete, sent.discrete)


def test_no_answer_is_zeros():
    got = ActionReader("B", ActionSpec(2, (3,))).read(UnityRLInputProto.ListAgentActionProto(), 4)
    assert not got.continuous.any()
    assert got.continuous.shape == (4, 2)
    assert got.discrete.shape == (4, 1)


def test_too_few_answers_get_a_sentence():
    reader = ActionReader("Ball", ActionSpec(2, ()))
    with pytest.raises(UnityActionException, match="Ball: 3 agents requested actions and 2 came"):
        reader.read(answers(actions(2, 2, 0, 1, 0)), 3)


def test_more_answers_than_were_asked_for_are_ignored():
    sent = actions(3, 2, 1, 2, 0)
    got = ActionReader("Ball", ActionSpec(2, (3,))).read(answers(sent), 2)
    assert np.array_equal(got.continuous, sent.continuous[:2])
    assert np.array_equal(got.discrete, sent.discrete[:2])


@pytest.mark.parametrize(("continuous", "branches"), [(2, 0), (0, 1), (0, 0)])
def test_an_empty_half_of_an_answer_is_zeros(continuous, branches):
    sent = actions(2, continuous, branches, 2, 0)
    got = ActionReader("Ball", ActionSpec(2, (3,))).read(answers(sent), 2)
    assert np.array_equal(got.continuous, sent.continuous if continuous else np.zeros((2, 2)))
    assert np.array_equal(got.discrete, sent.discrete if branches else np.zeros((2, 1)))


@pytest.mark.parametrize(("continuous", "branches"), [(1, 1), (3, 0), (3, 1), (0, 3)])
def test_answers_of_another_size_get_a_sentence(continuous, branches):
    reader = ActionReader("Ball", ActionSpec(2, (3,)))
    with pytest.raises(UnityActionException, match=r"Ball: the action of agent 0 in order .* must have 2 and 1"):
        reader.read(answers(actions(2, continuous, branches, 1, 0)), 2)
