"""Ends and questions of the same agents in one message, in any order: T is an end, D asks for a decision."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlagents_envs.base_env import ActionSpec, BehaviorSpec, DimensionProperty, ObservationSpec, ObservationType
from mlagents_envs.communicator_objects.unity_rl_output_pb2 import UnityRLOutputProto
from mlagents_envs.wire.codec import AgentReader
from mlagents_envs.wire.encode import AgentWriter

SPEC = BehaviorSpec(
    [ObservationSpec((1,), (DimensionProperty.NONE,), ObservationType.DEFAULT, "turn")], ActionSpec(1, (2,))
)


def message(turns):
    """Return agents of (id, done) each, whose observation and reward are their place in the message."""
    listed = UnityRLOutputProto.ListAgentInfoProto()
    for place, (agent, done) in enumerate(turns):
        info = listed.value.add(id=agent, done=done, reward=place, max_step_reached=done and place % 2 == 0)
        info.observations.add(shape=[1]).float_data.data.append(place)
    return listed.SerializeToString()


def both_ways(turns):
    """Return (decision, terminal) as the compiled walk and as protobuf read them."""
    fast, slow = AgentReader("B", SPEC), AgentReader("B", SPEC)
    slow._walk = None
    return [reader.read(message(turns)) for reader in (fast, slow)]


def reference(turns):
    """Return places of those that ask, whether each of them ends later, and places of those that end."""
    asking, later, ends = [], [], []
    for place, (agent, done) in enumerate(turns):
        if done:
            ends.append(place)
        else:
            asking.append(place)
            later.append(any(other == agent and its_end for other, its_end in turns[place + 1 :]))
    return asking, later, ends


TURNS = st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=12)


@settings(deadline=None, max_examples=300)
@given(TURNS)
def test_agents_stay_in_their_order_and_those_that_end_later_are_marked(turns):
    asking, later, ends = reference(turns)
    for decision, terminal in both_ways(turns):
        assert decision.obs[0][:, 0].tolist() == decision.reward.tolist() == asking
        assert decision.agent_id.tolist() == [turns[place][0] for place in asking]
        assert terminal.obs[0][:, 0].tolist() == terminal.reward.tolist() == ends
        assert terminal.agent_id.tolist() == [turns[place][0] for place in ends]
        assert terminal.interrupted.tolist() == [place % 2 == 0 for place in ends]
        assert (decision.ended.tolist() if decision.ended is not None else [False] * len(asking)) == later
        assert decision.ended is None or decision.ended.any()


@pytest.mark.parametrize(
    ("turns", "ended"),
    [
        ([(1, True), (1, False)], None),  # as in Unity nearly always
        ([(1, False), (1, True)], [True]),
        ([(1, True), (1, False), (1, True)], [True]),
        ([(1, False), (2, False), (1, True), (2, True), (2, False)], [True, True, False]),
        ([(1, False), (2, True)], None),  # another agent's end
        ([(1, False), (2, False)], None),
        ([(1, True)], None),
    ],
)
def test_only_an_end_of_its_own_that_follows_ends_a_question(turns, ended):
    for decision, _ in both_ways(turns):
        assert (decision.ended if decision.ended is None else decision.ended.tolist()) == ended


def test_an_agent_that_ends_twice_has_two_rows_and_is_found_by_its_last():
    for decision, terminal in both_ways([(7, True), (7, False), (7, True), (8, True)]):
        assert terminal.agent_id.tolist() == [7, 7, 8]
        assert terminal.agent_id_to_index == {7: 1, 8: 2}
        assert terminal[7].reward == 2
        assert decision[7].reward == 1


@settings(deadline=None, max_examples=100)
@given(TURNS)
def test_our_player_can_say_any_order_so_that_it_is_read_the_same_again(turns):
    (decision, terminal), _ = both_ways(turns)
    again, ends = AgentReader("B", SPEC).read(AgentWriter(SPEC).write(decision, terminal))
    assert np.array_equal(again.agent_id, decision.agent_id)
    assert np.array_equal(again.reward, decision.reward)
    assert np.array_equal(ends.agent_id, terminal.agent_id)
    assert np.array_equal(ends.reward, terminal.reward)
    assert (again.ended is None) == (decision.ended is None)
    assert again.ended is None or np.array_equal(again.ended, decision.ended)
