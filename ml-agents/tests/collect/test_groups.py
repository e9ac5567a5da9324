"""Who plays with whom: members that come and go, groups of several environments and teams, and what they are given."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from group_steps import Says, Teams, ends, mates_of, seen, steps_of

from mlagents.collect import collector as collecting


@pytest.fixture
def teams():
    return Teams()


def test_agents_that_are_asked_together_are_mates(teams):
    teams.hears(Says(1, 10), Says(2, 20), Says(3, 30, group=2), Says(4, 40, group=0))
    teams.hears(ends(1, 11), ends(2, 21), ends(3, 31, group=2), ends(4, 41, group=0))
    segments = teams.rollout.take()
    assert mates_of(segments) == {10: [20], 20: [10], 30: [], 40: []}


def test_a_member_that_ends_leaves_its_mates_and_waits_for_them(teams):
    teams.hears(Says(1, 10), Says(2, 20), Says(3, 30))
    teams.hears(ends(1, 11), Says(2, 21), Says(3, 31))
    assert teams.rollout.ready == 0  # the first one's segment is over, that of its group is not
    teams.hears(ends(2, 22), ends(3, 32))
    assert teams.rollout.ready == 5
    segments = teams.rollout.take()
    assert steps_of(segments) == [{10, 20, 30}, {21, 31}]
    assert mates_of(segments) == {10: [20, 30], 20: [10, 30], 30: [10, 20], 21: [31], 31: [21]}


def test_an_end_that_travels_ahead_belongs_to_the_step_in_which_its_agent_was_asked(teams):
    teams.hears(Says(1, 10), Says(2, 20))
    teams.hears(ends(1, 11))  # in a message of its own, as with a decision period
    teams.hears(Says(2, 21))
    teams.hears(ends(2, 22))
    segments = teams.rollout.take()
    assert steps_of(segments) == [{10, 20}, {21}]
    assert segments.groups.share.tolist() == [1.0, 1.0]


def test_a_member_that_ends_before_its_mates_first_report_does_not_end_the_group(teams):
    teams.hears(Says(1, 10), Says(2, 20))
    tick = teams.hears(ends(1, 11))
    assert not tick.closes.any()
    assert teams.hears(ends(2, 21)).closes.all()
    assert teams.rollout.ready == 2


def test_a_newcomer_is_a_mate_from_its_first_question_on(teams):
    teams.hears(Says(1, 10))
    teams.hears(Says(1, 11), Says(2, 21))
    teams.hears(ends(1, 12), ends(2, 22))
    assert mates_of(teams.rollout.take()) == {10: [], 11: [21], 21: [11]}


def test_an_agent_that_ends_and_asks_anew_is_another_member(teams):
    teams.hears(Says(1, 10), Says(2, 20))
    teams.hears(ends(1, 11), Says(1, 15), Says(2, 21))
    teams.hears(ends(1, 16), ends(2, 22))
    segments = teams.rollout.take()
    assert steps_of(segments) == [{10, 20}, {15, 21}]
    assert sum(segments.closes.tolist()) == 3


def test_episodes_of_a_group_do_not_mix_though_all_ids_are_kept(teams):
    first = teams.hears(Says(1, 10), Says(2, 20))
    first = teams.hears(ends(1, 11), ends(2, 21), Says(1, 12), Says(2, 22))
    second = teams.hears(ends(1, 13), ends(2, 23))
    assert set(first.membership.group.tolist()).isdisjoint(second.membership.group.tolist())
    segments = teams.rollout.take()
    assert steps_of(segments) == [{10, 20}, {12, 22}]
    assert segments.groups.run.tolist() == [0, 1]
    assert segments.groups.terminated.tolist() == [True, True]


def two_environments(teams):
    teams.hears(Says(1, 10), Says(2, 20), Says(1, 110, environment=1), Says(2, 120, environment=1))
    teams.hears(ends(1, 11), ends(2, 21), ends(1, 111, environment=1), ends(2, 121, environment=1))
    return mates_of(teams.rollout.take())


def two_teams(teams):
    for number, team in enumerate(("blue", "purple")):
        teams.hears(Says(1, 10 + 100 * number), Says(2, 20 + 100 * number), team=team)
    for number, team in enumerate(("blue", "purple")):
        teams.hears(ends(1, 11 + 100 * number), ends(2, 21 + 100 * number), team=team)
    return mates_of(teams.rollout.take())


APART = {10: [20], 20: [10], 110: [120], 120: [110]}


def test_groups_of_equal_ids_in_several_environments_and_teams_never_mix():
    assert two_environments(Teams()) == APART
    assert two_teams(Teams()) == APART


def test_that_test_notices_groups_that_mix(monkeypatch):
    join = collecting.GroupTable.join
    monkeypatch.setattr(collecting.GroupTable, "join", lambda self, lane, group: join(self, lane, group & 0xFFFFFFFF))
    assert two_environments(Teams()) != APART
    monkeypatch.undo()
    teams = Teams()
    monkeypatch.setattr(type(teams.numbers), "take", lambda self, n: np.arange(1, n + 1))  # each team counts for itself
    assert two_teams(teams) != APART


def test_the_lane_of_a_member_that_ended_goes_to_no_other_before_its_rows_can_be_learned_from(teams):
    teams.hears(Says(1, 10), Says(2, 20))
    first = teams.hears(ends(1, 11), Says(2, 21), Says(3, 30, group=2))
    meanwhile = teams.hears(Says(2, 22), ends(3, 31, group=2))
    assert not set(first.lane.tolist()) & set(meanwhile.lane[meanwhile.rows.done].tolist())
    teams.hears(ends(2, 23))
    teams.hears(Says(4, 40), Says(5, 50), Says(6, 60))
    assert teams.free.size == 3  # all three lanes are given again
    teams.hears(ends(4, 41), ends(5, 51), Says(6, 61))
    teams.vanish(teams.collectors[""].close_everyone())
    teams.hears(Says(7, 70), Says(8, 80), Says(9, 90))
    assert teams.free.size == 3
    teams.hears(ends(7, 71), Says(8, 81), Says(9, 91))
    teams.vanish(teams.collectors[""].close_environment(0))
    teams.hears(*(Says(agent, 0) for agent in (11, 12, 13)))
    assert teams.free.size == 3


def test_at_the_time_horizon_the_segments_of_all_members_close():
    teams = Teams(horizon=3)
    teams.hears(Says(1, 10))
    teams.hears(Says(1, 11), Says(2, 21))
    teams.hears(Says(1, 12), Says(2, 22), Says(3, 32))
    assert teams.rollout.ready == 0
    tick = teams.hears(Says(1, 13), Says(2, 23), Says(3, 33))  # the first one's third row
    assert tick.closes.all() and teams.rollout.ready == 6
    segments = teams.rollout.take()
    assert seen(segments) == [10, 11, 21, 12, 22, 32]
    assert segments.closes.tolist() == [False, False, False, True, True, True]
    assert segments.after[0].flatten().tolist() == [13, 23, 33]
    for turn in (14, 15):
        assert not teams.hears(Says(1, turn), Says(2, 10 + turn), Says(3, 20 + turn)).closes.any()
    assert teams.hears(Says(1, 16), Says(2, 26), Says(3, 36)).closes.all()
    assert teams.rollout.ready == 9


def test_what_a_group_is_given_counts_once(teams):
    teams.hears(Says(1, 10), Says(2, 20), Says(3, 30))
    early = teams.hears(ends(1, 11, shared=0.5))
    later = teams.hears(Says(2, 21, shared=2.0), Says(3, 31, shared=2.0))
    last = teams.hears(ends(2, 22, shared=4.0), ends(3, 32, shared=4.0))
    counted = [(tick.rows.group_reward * tick.membership.counts).tolist() for tick in (early, later, last)]
    assert [sum(each) for each in counted] == [0.0, 2.0, 4.0]
    assert teams.episodes == [6.0]


def test_members_that_are_asked_at_other_times_hear_of_their_group_only_what_is_new(teams):
    teams.hears(Says(1, 10), Says(2, 20))
    teams.hears(Says(1, 11, shared=1.0))
    teams.hears(Says(1, 12, shared=2.0), Says(2, 22, shared=3.0))  # the second one is told of both
    teams.hears(ends(1, 13, shared=4.0), ends(2, 23, shared=4.0))
    assert teams.episodes == [7.0]
    segments = teams.rollout.take()
    assert steps_of(segments) == [{10, 20}, {11, 20}, {12, 22}]
    assert segments.groups.share.tolist() == [1.0, 0.5, 1.0]
    by_seen = dict(zip(seen(segments), segments.groups.paid.tolist(), strict=True))
    assert by_seen == {10: 0, 11: 1, 20: 1, 12: 2, 22: 2}


def test_agents_without_a_group_earn_no_group_reward(teams):
    teams.hears(Says(1, 10, group=0))
    teams.hears(ends(1, 11, group=0, reward=3.0))
    assert teams.episodes == []


def test_an_environment_that_is_gone_closes_its_groups(teams):
    teams.hears(Says(1, 10), Says(2, 20), Says(1, 110, environment=1))
    teams.hears(ends(1, 11), Says(2, 21), Says(1, 111, environment=1))
    teams.vanish(teams.collectors[""].close_environment(0))
    assert teams.rollout.ready == 2
    segments = teams.rollout.take()
    assert seen(segments) == [10, 20]
    assert segments.groups.terminated.tolist() == [False]
    assert segments.groups.beyond.tolist() == [[1]]  # whatever became of the second one


def test_a_member_that_falls_silent_does_not_end_its_group_but_the_last_one_does(teams, monkeypatch):
    monkeypatch.setattr(collecting, "SILENCE", 2)
    monkeypatch.setattr(collecting, "CHECKS", 1)
    teams.hears(Says(1, 10), Says(2, 20), Says(3, 30))
    teams.hears(ends(1, 11), Says(2, 21))
    teams.hears(Says(2, 22))
    teams.hears(Says(2, 23))
    collector = teams.collectors[""]
    gone = collector.close_silent()
    assert len(gone.lane) == 1 and not len(gone.group)
    teams.vanish(gone)
    teams.hears(Says(4, 40, group=0))
    for turn in range(4):
        assert teams.rollout.ready == turn  # that of the agent alone, whose episodes end at once
        teams.hears(ends(4, 41, group=0), Says(4, 42, group=0))
    gone = collector.close_silent()
    assert len(gone.group) == 1
    teams.vanish(gone)
    assert teams.rollout.ready == 8
    assert sorted(seen(teams.rollout.take())) == [10, 20, 21, 22, 40, 42, 42, 42]


def test_an_agent_that_changes_its_group_in_mid_episode_has_other_mates_then(teams):
    teams.hears(Says(1, 10), Says(2, 20), Says(3, 30, group=2))
    teams.hears(Says(1, 11, group=2), Says(2, 21), Says(3, 31, group=2))
    teams.hears(ends(1, 12, group=2), ends(2, 22), ends(3, 32, group=2))
    assert mates_of(teams.rollout.take()) == {10: [20], 20: [10], 30: [], 11: [31], 21: [], 31: [11]}


def test_many_random_groups_have_the_mates_that_a_slow_count_finds():
    rng, teams = np.random.default_rng(0), Teams(horizon=7)
    playing, asked, want, serial = {}, {}, {}, 0
    for tick in range(60):
        says, over = [], set()
        for agent, group in list(playing.items()):
            serial += 1
            if rng.random() < 0.15:
                says.append(ends(agent, serial, group=group))
                over.add(agent)
                del playing[agent]
        for agent in range(12):
            if agent not in playing and agent not in over and rng.random() < 0.4:
                playing[agent] = 1 + agent % 4
        for agent, group in playing.items():
            serial += 1
            asked[serial] = (tick, group)
            says.append(Says(agent, serial, group=group))
        if says:
            teams.hears(*says)
    teams.hears(*(ends(agent, 10**6 + agent, group=group) for agent, group in playing.items()))
    segments = teams.rollout.take()
    for mine in asked:
        want[mine] = sorted(other for other in asked if other != mine and asked[other] == asked[mine])
    assert mates_of(segments) == want
    assert teams.rollout.ready == 0 and len(segments.rows) == len(asked)
    assert torch.equal(segments.groups.share, torch.ones(len(segments.groups.share)))
