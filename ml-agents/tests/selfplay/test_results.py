"""Whose episodes count as won, drawn or lost."""

import numpy as np

from mlagents.envs.finite import with_faults
from mlagents.envs.steps import StepBatch
from mlagents.selfplay.results import Results
from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.examples.example import vector_sensor


def step(*rows):
    """Return what agents report; a row: agent, group, done, own reward, group's reward, interrupted."""
    agent, group, done, reward, shared, interrupted = (list(column) for column in zip(*rows, strict=True))
    n = len(agent)
    return StepBatch(
        np.array(agent, np.int64), (np.zeros((n, 1), np.float32),), np.ones((n, 0), bool), np.array(reward, np.float32),
        np.array(group, np.int64), np.array(shared, np.float32), np.array(done, bool), np.array(interrupted, bool),
    )  # fmt: skip


def asks(agent, group=0):
    return (agent, group, False, 0.0, 0.0, False)


def ends(agent, group=0, reward=0.0, shared=0.0, interrupted=False):
    return (agent, group, True, reward, shared, interrupted)


def test_the_last_reward_of_an_agent_and_its_group_counts():
    results = Results()
    assert len(results.receive(step(asks(1), asks(2), asks(3)))) == 0
    final = results.receive(step(ends(1, reward=2.0), ends(2, reward=-1.0), ends(3), asks(1), asks(2), asks(3)))
    assert final.tolist() == [2.0, -1.0, 0.0]
    results.receive(step(asks(1, group=4)))
    assert results.receive(step(ends(1, group=4, reward=0.5, shared=-2.0))).tolist() == [-1.5]


def test_an_interrupted_episode_has_no_winner():
    results = Results()
    results.receive(step(asks(1), asks(2)))
    assert results.receive(step(ends(1, reward=1.0, interrupted=True), ends(2, reward=1.0))).tolist() == [1.0]


def test_mates_that_end_together_count_each():
    results = Results()
    results.receive(step(asks(1, 5), asks(2, 5), asks(3, 6)))
    final = results.receive(step(ends(1, 5, shared=1.0), ends(2, 5, shared=1.0), asks(1, 5), asks(2, 5), asks(3, 6)))
    assert final.tolist() == [1.0, 1.0]


def test_who_ends_while_a_mate_plays_on_does_not_count():
    results = Results()
    results.receive(step(asks(1, 5), asks(2, 5)))
    assert results.receive(step(ends(1, 5, reward=-1.0))).tolist() == []  # the mate does not even report
    assert results.receive(step(asks(2, 5))).tolist() == []
    assert results.receive(step(ends(2, 5, shared=1.0))).tolist() == [1.0]


def test_a_mate_that_joins_later_is_waited_for():
    results = Results()
    results.receive(step(asks(1, 5)))
    results.receive(step(asks(1, 5), asks(2, 5)))
    results.receive(step(asks(1, 5), asks(2, 5)))
    assert results.receive(step(ends(1, 5, shared=1.0), asks(2, 5))).tolist() == []


def test_an_agent_that_changes_its_group_is_a_mate_of_the_new_one():
    results = Results()
    results.receive(step(asks(1, 5), asks(2, 5)))
    results.receive(step(asks(1, 5), asks(2, 6)))
    assert results.receive(step(ends(1, 5, shared=1.0), asks(2, 6))).tolist() == [1.0]


def test_mates_in_an_environment_that_is_gone_are_not_waited_for():
    results, far = Results(), 7 << 32
    results.receive(step(asks(1, 5), asks(far | 1, 5), asks(2, 6)))
    results.close_environment(7)
    assert results.receive(step(ends(1, 5, shared=1.0), asks(2, 6))).tolist() == [1.0]
    results.clear()
    results.receive(step(asks(3, 6)))
    assert results.receive(step(ends(3, 6))).tolist() == [0.0]


def test_a_reward_that_is_no_number_is_no_result():
    spec = BehaviorSpec([vector_sensor(1, "seen")], ActionSpec.create_continuous(1))
    results = Results()
    results.receive(step(asks(1), asks(2)))
    wrong = with_faults(step(ends(1, reward=np.nan), ends(2, reward=1.0), asks(1), asks(2)), spec, None)
    assert len(wrong.faults) == 1
    assert results.receive(wrong).tolist() == [1.0]
