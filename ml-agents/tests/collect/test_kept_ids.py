"""Agents keep their ids over episodes: whatever a message holds, every reward goes to the action that earned it."""

import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlagents.algorithms.capabilities import Capabilities
from mlagents.collect import collector as collecting
from mlagents.collect.behavior import Behavior
from mlagents.collect.collector import Collector
from mlagents.data.experience import Actions, PolicyOutput

sys.path.insert(0, str(Path(__file__).parent))
from reference import Info, Reference, Row, batch

AGENTS = 4
PLAYS = [[], ["D"], ["T"], ["T", "D"], ["D", "T"], ["T", "D", "T"], ["D", "T", "D"], ["T", "D", "T", "D"]]


class Counter:
    """A policy that answers with what it saw, and remembers how often an agent was asked."""

    def act(self, input, *, explore=True):
        n = len(input.obs[0])
        action = Actions(input.obs[0].clone(), torch.zeros(n, 0, dtype=torch.int64))
        return PolicyOutput(action, torch.zeros(n, 1), torch.zeros(n), input.memory + 1)

    def env_action(self, action):
        return action


def message(plays, order, serial):
    """Return a message in which each agent plays its part, mixed in some order; what is seen is never seen twice."""
    infos = []
    queues = [[(agent, kind) for kind in kinds] for agent, kinds in plays]
    for pick in order:
        left = [queue for queue in queues if queue]
        if not left:
            break
        agent, kind = left[pick % len(left)].pop(0)
        number = serial + len(infos)
        infos.append(Info(agent, kind == "T", float(number % 7 - 3), float(number), kind == "T" and number % 2 == 0))
    return infos


def rows_of(tick, agent_of):
    if tick is None:
        return []
    rows, seen = tick.rows, tick.rows.input.obs[0][:, 0]
    columns = (seen, rows.input.memory[:, 0], rows.reward, rows.done, rows.interrupted, tick.after[0][:, 0])
    table = zip(*(column.tolist() for column in columns), strict=True)
    return [Row(agent_of[row[0]], *row) for row in table]


ticks = st.lists(
    st.tuples(
        st.lists(st.sampled_from(PLAYS), min_size=AGENTS, max_size=AGENTS),
        st.lists(st.integers(0, AGENTS - 1), min_size=4 * AGENTS, max_size=4 * AGENTS),
        st.booleans(),
    ),
    max_size=14,
)


@settings(max_examples=400, deadline=None)
@given(ticks)
def test_any_mix_of_ends_births_silences_and_repeated_ids_is_read_as_the_reference_reads_it(plan):
    collector, reference, agent_of, serial = Collector(memory_size=1, horizon=3), Reference(), {}, 0
    lanes = {}  # of agents that were asked and have not ended
    for plays, order, renew in plan:
        first = 100 if renew else 0  # other agents, for a while
        infos = message([(first + agent, kinds) for agent, kinds in enumerate(plays)], order, serial)
        serial += 40
        agent_of |= {info.seen: info.agent for info in infos}
        step = batch(infos)
        tick, episodes = collector.receive(step)
        rows, returns = reference.read(infos)
        assert sorted(rows_of(tick, agent_of)) == sorted(rows)
        assert sorted(episodes.total.tolist()) == sorted(returns)
        if tick is not None:
            assert len(set(tick.lane.tolist())) == len(tick.lane)
            for lane, row in zip(tick.lane.tolist(), rows_of(tick, agent_of), strict=True):
                assert lanes.setdefault(row.agent, lane) == lane
        lanes = {agent: lane for agent, lane in lanes.items() if reference.agents[agent].asked is not None}
        actions, _ = collector.act(Counter())
        asked = [info.seen for info in infos if not info.done]
        assert actions.continuous[:, 0].tolist() == asked  # everyone who asks is answered, in the message's order


@settings(max_examples=100, deadline=None)
@given(ticks)
def test_a_segment_closes_at_the_horizon_and_at_an_end_and_counts_its_rows(plan):
    collector, serial, open_rows = Collector(memory_size=1, horizon=3), 0, {}
    for plays, order, _ in plan:
        infos = message(list(enumerate(plays)), order, serial)
        serial += 40
        tick, _ = collector.receive(batch(infos))
        collector.act(Counter())
        if tick is None:
            continue
        finished = 0
        for lane, closes, done in zip(tick.lane.tolist(), tick.closes.tolist(), tick.rows.done.tolist(), strict=True):
            open_rows[lane] = open_rows.get(lane, 0) + 1
            assert closes == (done or open_rows[lane] == 3)
            if closes:
                finished += open_rows.pop(lane)
        assert tick.finished == finished


def receive_one_by_one(collector, step):
    with mock.patch.object(collecting, "_places", return_value=None):
        return collector.receive(step)


ends = st.lists(st.lists(st.booleans(), min_size=AGENTS, max_size=AGENTS), min_size=2, max_size=12)


@settings(max_examples=100, deadline=None)
@given(ends)
def test_all_who_were_answered_are_read_at_once_as_if_each_were_looked_for(plan):
    quick, slow, serial, times = Collector(memory_size=1, horizon=3), Collector(memory_size=1, horizon=3), 0, []
    with mock.patch.object(quick, "_receive_again", wraps=quick._receive_again) as again:
        for tick, ended in enumerate(plan):
            plays = [(agent, ["T", "D"] if end and tick else ["D"]) for agent, end in enumerate(ended)]
            infos = sorted(message(plays, [0] * 4 * AGENTS, serial), key=lambda info: not info.done)
            serial += 40
            (mine, episodes), (theirs, others) = quick.receive(batch(infos)), receive_one_by_one(slow, batch(infos))
            times.append(tick and any(ended))
            assert (mine is None) == (theirs is None)
            if mine is not None:
                for one, other in zip(mine.rows.columns(), theirs.rows.columns(), strict=True):
                    assert torch.equal(one, other)
                assert torch.equal(mine.lane, theirs.lane) and torch.equal(mine.after[0], theirs.after[0])
                assert torch.equal(mine.closes, theirs.closes) and mine.finished == theirs.finished
            assert np.array_equal(episodes.total, others.total) and np.array_equal(episodes.length, others.length)
            answered = [one.act(Counter())[0].continuous for one in (quick, slow)]
            assert np.array_equal(*answered)
        assert again.call_count == sum(map(bool, times))


def test_one_agent_that_ends_and_asks_again_under_its_id_comes_home_once_with_its_reward():
    collector = Collector(memory_size=1, horizon=9)
    collector.receive(batch([Info(5, False, 0.0, 10.0)]))
    collector.act(Counter())
    tick, episodes = collector.receive(batch([Info(5, True, -1.0, 11.0), Info(5, False, 0.25, 12.0)]))
    assert tick.rows.reward.tolist() == [-1.0]
    assert tick.rows.done.tolist() == [True]
    assert episodes.total.tolist() == [-1.0]
    collector.act(Counter())
    tick, episodes = collector.receive(batch([Info(5, False, 0.5, 13.0)]))
    assert tick.rows.input.obs[0].tolist() == [[12.0]]
    assert tick.rows.reward.tolist() == [0.5]  # the 0.25 was earned between episodes: no action did it
    assert tick.rows.input.memory.tolist() == [[0.0]]


def test_an_agent_that_asks_twice_in_a_message_gets_two_answers_and_one_row():
    collector = Collector(memory_size=1, horizon=9)
    for number in (10.0, 20.0):
        tick, _ = collector.receive(batch([Info(5, False, 0.0, number), Info(6, False, 0.0, 1.0), Info(5, False, 0.5, number + 1)]))
        actions, _ = collector.act(Counter())
        assert actions.continuous[:, 0].tolist() == [number, 1.0, number + 1]
    assert tick.rows.input.obs[0][:, 0].tolist() == [1.0, 11.0]


def test_two_environments_may_have_agents_of_the_same_id():
    collector = Collector(memory_size=1, horizon=9)
    for infos, environment in (([Info(5, False, 0.0, 10.0)], 0), ([Info(5, False, 0.0, 20.0)], 1)):
        collector.receive(batch(infos, environment))
        collector.act(Counter())
    tick, _ = collector.receive(batch([Info(5, True, 2.0, 21.0), Info(5, False, 0.0, 22.0)], 1))
    assert tick.rows.input.obs[0].tolist() == [[20.0]]
    collector.act(Counter())
    tick, _ = collector.receive(batch([Info(5, False, 1.0, 11.0)], 0))
    assert tick.rows.input.obs[0].tolist() == [[10.0]]


class Listener:
    """Stands in for a trainer; notes which lanes were closed."""

    capabilities = Capabilities(groups=True)
    device, generator = "cpu", torch.Generator()

    def __init__(self):
        self.policy, self.closed, self.rows = Counter(), [], 0
        self.policy.memory_size = 1

    def receive(self, tick):
        self.rows += len(tick.lane)

    def close(self, lane):
        self.closed += lane.tolist()

    def close_groups(self, number):
        assert len(number)


def vanishing(n, ticks):
    """Yield messages in which n new agents ask each time, and are never heard of again; agent 0 goes on."""
    for turn in range(ticks):
        asking = [Info(0, False, 1.0, 0.0)] + [Info(1 + turn * n + i, False, 0.0, 1.0) for i in range(n)]
        yield batch(asking)


def test_agents_that_vanish_without_a_word_are_forgotten_in_time(monkeypatch):
    monkeypatch.setattr(collecting, "SILENCE", 50)
    trainer = Listener()
    behavior = Behavior(trainer, time_horizon=1000)
    for step in vanishing(10, 1500):
        behavior.receive(step)
        behavior.act()
    (collector,) = behavior._collectors.values()
    kept = 10 * (50 + 2 * collecting.CHECKS)
    assert len(collector._waiting) <= kept / 10
    assert len(collector._lanes) <= kept
    assert behavior._free.size <= kept  # lanes are given again
    assert trainer.rows == 1499  # agent 0 lost nothing
    assert collector._lanes.find(np.array([0])).tolist() == [0]
    assert 0 not in trainer.closed


def test_a_silent_agent_is_not_gone_while_others_of_many_environments_speak(monkeypatch):
    monkeypatch.setattr(collecting, "SILENCE", 50)
    behavior = Behavior(Listener(), time_horizon=1000)
    for environment in range(20):
        behavior.receive(batch([Info(0, False, 0.0, 1.0), Info(1, False, 0.0, 2.0)], environment))
        behavior.act()
    for _ in range(45):  # ticks of each environment
        for environment in range(20):
            behavior.receive(batch([Info(0, False, 0.0, 1.0)], environment))
            behavior.act()
    step = behavior.step
    behavior.receive(batch([Info(1, False, 3.0, 4.0)], 7))
    assert behavior.step == step + 1


@pytest.mark.parametrize("ends", [False, True])
def test_an_agent_that_was_taken_for_gone_begins_anew(monkeypatch, ends):
    monkeypatch.setattr(collecting, "SILENCE", 50)
    behavior = Behavior(Listener(), time_horizon=1000)
    behavior.receive(batch([Info(0, False, 0.0, 1.0), Info(1, False, 0.0, 2.0)]))
    behavior.act()
    for _ in range(300):
        behavior.receive(batch([Info(0, False, 0.0, 1.0)]))
        behavior.act()
    step = behavior.step
    behavior.receive(batch([Info(1, ends, 5.0, 3.0)]))
    behavior.act()
    assert behavior.step == step
    behavior.receive(batch([Info(1, False, 6.0, 4.0)]))
    assert behavior.step == step + (0 if ends else 1)


def test_two_teams_of_one_behavior_teach_one_trainer_in_lanes_of_their_own():
    trainer = Listener()
    behavior = Behavior(trainer, time_horizon=1000)
    ticks = []
    trainer.receive = ticks.append
    for turn in range(3):
        for team, seen in (("S?team=0", 10.0), ("S?team=1", 20.0)):
            behavior.receive(batch([Info(3, False, 1.0, seen + turn)]), team)
            actions, _ = behavior.act(team)
            assert actions.continuous.tolist() == [[seen + turn]]
    assert behavior.step == 4
    assert [tick.lane.tolist() for tick in ticks] == [[0], [1], [0], [1]]
    assert [tick.rows.input.obs[0].item() for tick in ticks] == [10.0, 20.0, 11.0, 21.0]
