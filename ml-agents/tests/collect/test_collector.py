import numpy as np
import pytest
import torch

from mlagents.collect.collector import Collector
from mlagents.data.experience import Actions, PolicyOutput
from mlagents.envs.steps import StepBatch


class Echo:
    """A policy that answers with what it saw, and remembers how often an agent was asked."""

    def act(self, input, *, explore=True):
        seen = input.obs[0]
        n = len(seen)
        action = Actions(seen.clone(), torch.zeros(n, 0, dtype=torch.int64))
        return PolicyOutput(action, torch.zeros(n, 1), torch.zeros(n), input.memory + 1)

    def env_action(self, action):
        return action


def step(agents, obs, reward=None, done=None, interrupted=None):
    n = len(agents)
    return StepBatch(
        agent=np.array(agents, np.int64),
        obs=(np.array(obs, np.float32)[:, None],),
        mask=np.zeros((n, 0), bool),
        reward=np.array(reward if reward is not None else [0.0] * n, np.float32),
        group=np.zeros(n, np.int64),
        group_reward=np.zeros(n, np.float32),
        done=np.array(done if done is not None else [False] * n),
        interrupted=np.array(interrupted if interrupted is not None else [False] * n),
    )


@pytest.fixture
def collector():
    return Collector(memory_size=1, horizon=3)


def seen(tick):
    return tick.rows.input.obs[0].flatten().tolist()


def test_nothing_comes_home_before_an_answer_is_out(collector):
    tick, episodes = collector.receive(step([1, 2], [10, 20]))
    assert tick is None
    assert len(episodes.total) == 0


def test_a_row_joins_what_was_asked_with_what_came_of_it(collector):
    collector.receive(step([1, 2], [10, 20]))
    actions, _ = collector.act(Echo())
    assert actions.continuous.flatten().tolist() == [10, 20]
    tick, _ = collector.receive(step([1, 2], [11, 21], reward=[0.5, 0.25]))
    assert seen(tick) == [10, 20]
    assert tick.rows.output.action.continuous.flatten().tolist() == [10, 20]
    assert tick.rows.reward.tolist() == [0.5, 0.25]
    assert tick.after[0].flatten().tolist() == [11, 21]


def test_agents_that_stay_silent_come_home_later(collector):
    collector.receive(step([1, 2, 3], [10, 20, 30]))
    collector.act(Echo())
    tick, _ = collector.receive(step([3], [31], reward=[3.0]))
    assert seen(tick) == [30]
    collector.act(Echo())
    tick, _ = collector.receive(step([2, 3, 1], [21, 32, 11], reward=[2.0, 3.5, 1.0]))
    assert seen(tick) == [20, 31, 10]
    assert tick.rows.reward.tolist() == [2.0, 3.5, 1.0]


def test_an_agent_keeps_its_lane_whatever_the_order(collector):
    collector.receive(step([1, 2], [0, 0]))
    collector.act(Echo())
    first, _ = collector.receive(step([1, 2], [0, 0]))
    collector.act(Echo())
    second, _ = collector.receive(step([2, 1], [0, 0]))
    assert first.lane.tolist() == second.lane.flip(0).tolist()


def test_an_ended_agent_leaves_its_lane_to_the_next(collector):
    collector.receive(step([1, 2], [10, 20]))
    collector.act(Echo())
    tick, episodes = collector.receive(step([1, 2, 7], [11, 21, 70], [-1.0, 0.1, 0.0], [True, False, False]))
    assert seen(tick) == [10, 20]
    assert tick.closes.tolist() == [True, False]
    assert tick.after[0].flatten().tolist() == [11, 21]
    assert episodes.total.tolist() == [-1.0]
    lane_of_1 = tick.lane[0]
    actions, _ = collector.act(Echo())
    assert actions.continuous.flatten().tolist() == [21, 70]
    tick, _ = collector.receive(step([2, 7], [22, 71]))
    assert seen(tick) == [21, 70]
    assert tick.lane[1] == lane_of_1


def test_segments_close_at_the_horizon(collector):
    collector.receive(step([1], [0]))
    closes = []
    for i in range(7):
        collector.act(Echo())
        tick, _ = collector.receive(step([1], [i]))
        closes.append(tick.closes.item())
    assert closes == [False, False, True, False, False, True, False]


def test_an_episode_is_summed_over_its_decisions(collector):
    collector.receive(step([1], [0]))
    for reward, done in [(1.0, False), (2.0, False), (4.0, True)]:
        collector.act(Echo())
        _, episodes = collector.receive(step([1], [0], [reward], [done]))
    assert episodes.total.tolist() == [7.0]
    assert episodes.length.tolist() == [2]  # decisions that were not the last


def test_memory_goes_where_its_agent_goes_and_dies_with_it(collector):
    collector.receive(step([1, 2], [0, 0]))
    collector.act(Echo())
    collector.receive(step([2, 1, 5], [0, 0, 0], None, [True, False, False]))
    collector.act(Echo())
    tick, _ = collector.receive(step([5, 1], [0, 0]))
    assert tick.rows.input.memory.flatten().tolist() == [0.0, 1.0]


def test_an_interruption_is_told_from_a_termination(collector):
    collector.receive(step([1, 2], [0, 0]))
    collector.act(Echo())
    tick, _ = collector.receive(step([1, 2], [0, 0], None, [True, True], [True, False]))
    assert tick.rows.done.tolist() == [True, True]
    assert tick.rows.interrupted.tolist() == [True, False]


def test_agents_of_a_world_that_is_gone_are_forgotten_and_the_others_go_on(collector):
    here, there, later = 7, 1 << 32 | 7, 2 << 32 | 7
    collector.receive(step([here, there], [10, 20]))
    collector.act(Echo())
    assert collector.close_environment(1).lane.tolist() == [1]
    tick, _ = collector.receive(step([here, later], [11, 31], reward=[1, 2]))
    assert seen(tick) == [10]
    assert tick.lane.tolist() == [0]
    collector.act(Echo())
    tick, episodes = collector.receive(step([later, here], [32, 12], reward=[5, 6], done=[True, False]))
    assert dict(zip(tick.lane.tolist(), seen(tick), strict=True)) == {1: 31.0, 0: 11.0}
    assert episodes.total.tolist() == [5]  # the lost agent's reward is nobody's
