"""Rows of environments that cannot be learned from: what is left of everybody's experience without them."""

import numpy as np
import pytest
import torch
from author_runs import ON_POLICY, make

from mlagents.algorithms.ppo import PPOTrainer
from mlagents.collect.behavior import Behavior
from mlagents.data.finite import NotFinite
from mlagents.envs.finite import faulty, with_faults, without_faults
from mlagents.envs.steps import StepBatch
from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.examples.example import vector_sensor

SPEC = BehaviorSpec([vector_sensor(2, "seen")], ActionSpec.create_continuous(1))
NAN = float("nan")


def step(agents, obs, reward=None, done=None):
    """What agents report: each sees its number, and that of the tick."""
    n, none = len(agents), np.zeros(len(agents), np.float32)
    seen = np.array([[agent, value] for agent, value in zip(agents, obs, strict=True)], np.float32)
    return StepBatch(
        np.array(agents, np.int64), (seen,), np.zeros((n, 0), bool),
        none if reward is None else np.array(reward, np.float32), np.zeros(n, np.int64), none,
        np.array(done if done is not None else [False] * n), np.zeros(n, bool),
    )  # fmt: skip


@pytest.fixture
def behavior():
    return Behavior(make(PPOTrainer, SPEC, **{**ON_POLICY, "buffer_size": 10**6}), time_horizon=100)


def play(behavior, steps):
    """Give a behavior what agents report, without what is faulty; return (agent, tick) of each row, and its end."""
    for each in steps:
        marked = with_faults(each, SPEC, None)
        if marked.faults:
            behavior.leave_out(marked, faulty(marked))
            marked = without_faults(marked)
        behavior.receive(marked)
        answers, _ = behavior.act()
        assert len(answers.continuous) == (~marked.done).sum()
        assert np.isfinite(answers.continuous).all()
    memory = behavior.trainer.memory
    behavior.trainer.close(torch.arange(4))
    segments = memory.take()
    assert torch.isfinite(segments.rows.input.obs[0]).all() and torch.isfinite(segments.rows.reward).all()
    assert all(torch.isfinite(column).all() for column in segments.after)
    rows = segments.rows.input.obs[0].int().tolist()
    assert segments.agent.tolist() == [agent for agent, _ in rows]
    following = segments.next_input().obs[0][:, 1].int().tolist()
    return [(agent, tick, after) for (agent, tick), after in zip(rows, following, strict=True)]


def test_a_bad_observation_ends_the_segment_before_it_and_the_others_go_on(behavior):
    rows = play(behavior, [step([1, 2], [t, NAN if t == 2 else t]) for t in range(5)])
    assert [row for row in rows if row[0] == 1] == [(1, t, t + 1) for t in range(4)]
    assert [row for row in rows if row[0] == 2] == [(2, 0, 1), (2, 3, 4)]  # 1 led to what cannot be used, 2 is that


def test_a_bad_reward_takes_its_row_out(behavior):
    rows = play(behavior, [step([1, 2], [t, t], reward=[0, NAN if t == 3 else 0]) for t in range(5)])
    assert [row for row in rows if row[0] == 2] == [(2, 0, 1), (2, 1, 2)]


def test_a_bad_end_ends_the_episode_all_the_same(behavior):
    steps = [step([1], [t]) for t in range(3)]
    steps += [step([1, 1], [NAN, 10], done=[True, False]), *(step([1], [t]) for t in range(11, 13))]
    assert play(behavior, steps) == [(1, 0, 1), (1, 1, 2), (1, 10, 11), (1, 11, 12)]


def test_a_good_end_counts_although_the_next_episode_begins_badly(behavior):
    steps = [step([1], [t]) for t in range(3)]
    steps += [step([1, 1], [3, NAN], done=[True, False]), *(step([1], [t]) for t in range(11, 13))]
    assert play(behavior, steps) == [(1, 0, 1), (1, 1, 2), (1, 2, 3), (1, 11, 12)]
    assert behavior.trainer is not None


def test_an_agent_that_is_bad_for_long_and_one_that_comes_badly_do_no_harm(behavior):
    steps = [step([1, 2], [t, NAN]) for t in range(4)] + [step([1, 2], [t, t]) for t in range(4, 6)]
    rows = play(behavior, steps)
    assert [row for row in rows if row[0] == 1] == [(1, t, t + 1) for t in range(5)]
    assert [row for row in rows if row[0] == 2] == [(2, 4, 5)]


def test_rows_with_faults_are_never_received(behavior):
    with pytest.raises(NotFinite, match=r"environment 0, agent 2: its observation 'seen'\[1\] \(sensor 0\) is nan"):
        behavior.receive(with_faults(step([1, 2], [0, NAN]), SPEC, None))
