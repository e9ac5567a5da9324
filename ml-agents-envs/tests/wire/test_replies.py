import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlagents_envs.base_env import ActionSpec, ActionTuple
from mlagents_envs.communicator_objects.unity_message_pb2 import UnityMessageProto
from mlagents_envs.communicator_objects.unity_rl_initialization_input_pb2 import UnityRLInitializationInputProto
from mlagents_envs.wire.replies import ActionWriter, closing, command, handshake_reply

sizes = st.integers(0, 6)
branches = st.lists(st.integers(1, 20000), max_size=4)


def action_of(n, continuous, branches, seed):
    rng = np.random.default_rng(seed)
    discrete = np.stack([rng.integers(0, size, n) for size in branches], 1) if branches else np.zeros((n, 0))
    return ActionTuple(rng.normal(size=(n, continuous)), discrete)


@settings(deadline=None, max_examples=60)
@given(sizes, sizes, branches, st.integers(0, 99), st.booleans())
def test_players_read_the_actions_that_were_set(n, continuous, branches, seed, deprecated):
    writer = ActionWriter("B?team=0", ActionSpec(continuous, tuple(branches)), deprecated=deprecated)
    for turn in range(2):  # the second time with a template that is already there
        action = action_of(n, continuous, branches, seed + turn)
        message = UnityMessageProto.FromString(command([writer.write(action)], b"side"))
        assert message.header.status == 200
        rl_input = message.unity_input.rl_input
        assert (rl_input.command, rl_input.side_channel) == (0, b"side")
        rows = rl_input.agent_actions["B?team=0"].value
        assert len(rows) == n
        for row, sent in enumerate(rows):
            assert list(sent.continuous_actions) == action.continuous[row].tolist()
            assert list(sent.discrete_actions) == action.discrete[row].tolist()
            both = [*action.continuous[row].tolist(), *action.discrete[row].tolist()]
            assert list(sent.vector_actions_deprecated) == (both if deprecated else [])


def test_actions_that_no_branch_has_arrive_as_they_are():
    writer = ActionWriter("B", ActionSpec(0, (3, 3)))
    action = ActionTuple(discrete=np.array([[-1, 2**31 - 1], [0, 127], [128, 5]]))
    sent = UnityMessageProto.FromString(command([writer.write(action)], b"")).unity_input.rl_input
    assert [list(row.discrete_actions) for row in sent.agent_actions["B"].value] == action.discrete.tolist()


def test_actions_whose_rows_lie_apart_in_memory_arrive_as_they_are():
    everything = np.arange(12, dtype=np.float32).reshape(3, 4)
    writer = ActionWriter("B", ActionSpec(2, ()))
    sent = UnityMessageProto.FromString(command([writer.write(ActionTuple(everything[:, ::2]))], b""))
    rows = sent.unity_input.rl_input.agent_actions["B"].value
    assert [list(row.continuous_actions) for row in rows] == everything[:, ::2].tolist()


def test_several_behaviors_are_answered_in_one_message():
    spec = ActionSpec(1, ())
    entries = [ActionWriter(name, spec).write(spec.empty_action(n)) for name, n in (("A", 1), ("B", 3))]
    rl_input = UnityMessageProto.FromString(command(entries, b"")).unity_input.rl_input
    assert {name: len(rows.value) for name, rows in rl_input.agent_actions.items()} == {"A": 1, "B": 3}


@pytest.mark.parametrize(("reset", "number"), [(True, 1), (False, 0)])
def test_a_reset_is_a_command_of_its_own(reset, number):
    message = UnityMessageProto.FromString(command([], b"", reset=reset))
    assert message.unity_input.HasField("rl_input")
    assert message.unity_input.rl_input.command == number


def test_the_handshake_carries_our_versions_and_capabilities():
    ours = UnityRLInitializationInputProto(seed=5, communication_version="1.5.0")
    message = UnityMessageProto.FromString(handshake_reply(ours))
    assert message.header.status == 200
    assert message.unity_input.rl_initialization_input == ours


def test_the_last_word_has_another_status_and_no_content():
    message = UnityMessageProto.FromString(closing())
    assert message.header.status == 400
    assert not message.HasField("unity_input")
