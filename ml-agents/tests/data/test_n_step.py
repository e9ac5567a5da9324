"""Rows that wait for what follows them."""

from dataclasses import replace

import pytest
import torch

from mlagents.data.n_step import NStepReturns
from mlagents.data.rollout import Tick


class Lanes:
    """Feeds n-step returns, gamma 0.5, with ticks, and notes what comes out as (obs, return, discount, after)."""

    def __init__(self, experience, n, ignores_done=False):
        self.experience, self.out = experience, []
        self.returns = NStepReturns(n, gamma=[0.5], ignores_done=[ignores_done])

    def tick(self, lane, obs, reward, done=False, interrupted=False):
        """One row per lane; what it sees next is 1 more."""
        flags = [[flag] * len(lane) if isinstance(flag, bool) else flag for flag in (done, interrupted)]
        rows = self.experience(obs, reward, *flags)
        tick = Tick(rows, torch.tensor(lane), rows.done, (rows.input.obs[0] + 1,), 0)
        self.note(self.returns.take(tick, rows.reward[:, None]))

    def note(self, parts):
        for part, *_ in parts:
            columns = (part.rows.input.obs[0], part.returns, part.discount, part.next_input.obs[0])
            self.out += zip(*(column[:, 0].tolist() for column in columns), strict=True)


def test_one_step_rows_wait_for_the_next_of_their_lane(experience):
    lanes = Lanes(experience, 1)
    lanes.tick([0, 1], [0.0, 10.0], [1.0, 2.0])
    assert lanes.out == []
    lanes.tick([1], [11.0], [3.0])
    assert lanes.out == [(10, 2, 0.5, 11)]


def test_rewards_of_n_steps_are_summed_with_discount(experience):
    lanes = Lanes(experience, 3)
    for i, reward in enumerate([1.0, 2.0, 4.0, 8.0, 16.0]):
        lanes.tick([0], [float(i)], [reward])
    # 1 + 2/2 + 4/4 = 3; 2 + 4/2 + 8/4 = 6; each is followed, three rows later, by what its lane saw then
    assert lanes.out == [(0, 3, 0.125, 3), (1, 6, 0.125, 4)]


def test_a_terminated_episode_ends_all_its_rows_and_nothing_follows(experience):
    lanes = Lanes(experience, 3)
    lanes.tick([0], [0.0], [1.0])
    lanes.tick([0], [1.0], [2.0], done=True)
    assert sorted(lanes.out) == [(0, 2, 0, 2), (1, 2, 0, 2)]  # 1 + 2/2


def test_an_interrupted_episode_ends_its_rows_but_what_it_saw_last_counts(experience):
    lanes = Lanes(experience, 3)
    lanes.tick([0], [0.0], [1.0])
    lanes.tick([0], [1.0], [2.0], done=True, interrupted=True)
    assert sorted(lanes.out) == [(0, 2, 0.25, 2), (1, 2, 0.5, 2)]


def test_a_signal_that_ignores_done_goes_on_beyond_a_terminated_episode(experience):
    lanes = Lanes(experience, 1, ignores_done=True)
    lanes.tick([0], [0.0], [1.0], done=True)
    assert lanes.out == [(0, 1, 0.5, 1)]


def test_the_next_agent_in_a_lane_knows_nothing_of_the_one_before(experience):
    lanes = Lanes(experience, 2)
    lanes.tick([0], [0.0], [1.0])
    lanes.tick([0], [1.0], [1.0], done=True)
    lanes.out.clear()
    for i in (20.0, 21.0, 22.0):
        lanes.tick([0], [i], [8.0])
    assert lanes.out == [(20, 12, 0.25, 22)]


def test_a_closed_lane_gives_its_rows_and_bootstraps_at_what_it_saw_last(experience):
    lanes = Lanes(experience, 3)
    lanes.tick([0, 2], [0.0, 50.0], [1.0, 7.0])
    lanes.tick([0], [1.0], [2.0])
    lanes.note(lanes.returns.close(torch.tensor([0, 9])))  # of lane 9 nothing ever came home
    assert sorted(lanes.out) == [(0, 2, 0.25, 2), (1, 2, 0.5, 2)]
    lanes.note(lanes.returns.close(torch.tensor([0])))
    assert len(lanes.out) == 2
    lanes.note(lanes.returns.clear())
    assert lanes.out[2:] == [(50, 7, 0.5, 51)]


def test_closing_before_the_first_row_gives_nothing():
    assert NStepReturns(2, gamma=[0.5], ignores_done=[False]).close(torch.tensor([0])) == []


def test_the_time_horizon_cuts_no_returns(experience):
    lanes = Lanes(experience, 2)
    for i in range(3):
        rows = experience([float(i)], [1.0])
        tick = Tick(rows, torch.tensor([0]), torch.tensor([True]), (rows.input.obs[0] + 1,), 1)
        lanes.note(lanes.returns.take(tick, rows.reward[:, None]))
    assert lanes.out == [(0, 1.5, 0.25, 2)]


def test_what_was_allowed_next_comes_with_a_row(experience):
    returns = NStepReturns(1, gamma=[0.5], ignores_done=[False])
    masks = [[True, False], [False, True], [True, False]]
    out = []
    for i, mask in enumerate(masks):
        rows = experience([float(i)], done=[i == 2])
        rows = replace(rows, input=replace(rows.input, mask=torch.tensor([mask])))
        tick = Tick(rows, torch.tensor([0]), rows.done, (rows.input.obs[0] + 1,), 0)
        out += [part.transitions.next_input.mask.tolist() for part in returns.take(tick, rows.reward[:, None])]
    assert out == [[masks[1]], [masks[2]], [[True, True]]]


def slowly(history, n):
    """The same transitions of one lane, row by row."""
    out, begin = [], 0
    for last in [i for i, (_, _, done, _) in enumerate(history) if done]:
        episode = history[begin : last + 1]
        for i, (obs, *_) in enumerate(episode):
            span = episode[i : i + n]
            returns = sum(0.5**k * reward for k, (_, reward, _, _) in enumerate(span))
            ended = span[-1][2] and not span[-1][3]
            out.append((obs, returns, 0.0 if ended else 0.5 ** len(span), span[-1][0] + 1))
        begin = last + 1
    return out


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_many_lanes_at_their_own_pace_equal_a_slow_walk_along_each(experience, n):
    chance = torch.Generator().manual_seed(n)
    lanes, history = Lanes(experience, n), {lane: [] for lane in range(6)}
    for turn in range(61):
        here = torch.randperm(6, generator=chance)[: 1 + int(torch.randint(6, (1,), generator=chance))].tolist()
        here = list(range(6)) if turn == 60 else here
        obs = [float(1000 * lane + 1 * len(history[lane])) for lane in here]
        reward = torch.randint(8, (len(here),), generator=chance).float().tolist()
        done = [turn == 60 or bool(torch.rand(1, generator=chance) < 0.2) for _ in here]
        cut = [over and bool(torch.rand(1, generator=chance) < 0.5) for over in done]
        for lane, *row in zip(here, obs, reward, done, cut, strict=True):
            history[lane].append(tuple(row))
        lanes.tick(here, obs, reward, done, cut)
    assert sorted(lanes.out) == sorted(row for rows in history.values() for row in slowly(rows, n))
