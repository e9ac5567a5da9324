"""Rows in whole sequences: in order, of one agent and one episode, whatever is overwritten, saved or still growing."""

from collections import Counter

import pytest
import torch
from tiny_tasks import through_a_file

from mlagents.data.n_step import NStepReturns
from mlagents.data.rollout import Tick
from mlagents.data.sequence_replay import SequenceBuffer


class Lanes:
    """Feeds a buffer; a row's reward counts rows of its lane, its observation is lane and episode."""

    def __init__(self, experience, buffer, n=1, lanes=5):
        self.experience, self.buffer, self.write = experience, buffer, buffer.writer()
        self.returns = NStepReturns(n, gamma=[0.5], ignores_done=[False], frames=buffer.frames)
        self.episode, self.row = [0] * lanes, [0] * lanes

    def tick(self, lane, done):
        obs = [float(1000 * one + self.episode[one]) for one in lane]
        rows = self.experience(obs, [float(self.row[one]) for one in lane], done)
        tick = Tick(rows, torch.tensor(lane), rows.done, rows.input.obs, 0)
        for part in self.returns.take(tick, rows.reward[:, None]):
            self.write(part)
        for one, over in zip(lane, done, strict=True):
            self.row[one] += 1
            if over:
                self.begin(one)

    def close(self, lane):
        for part in self.returns.close(torch.tensor(lane)):
            self.write(part)
        for one in lane:
            self.begin(one)

    def begin(self, lane):
        self.episode[lane] += 1
        self.row[lane] = 0


def walk(lanes, turns, rng):
    for _ in range(turns):
        here = torch.randperm(5, generator=rng)[: 1 + int(torch.randint(5, (1,), generator=rng))].tolist()
        lanes.tick(here, [bool(torch.rand(1, generator=rng) < 0.15) for _ in here])
        if torch.rand(1, generator=rng) < 0.1:
            lanes.close([int(torch.randint(5, (1,), generator=rng))])


def sequences_of(batch):
    """Return each sequence of a batch as (episode, its rows' numbers)."""
    found = []
    for i in batch.sequence.unique().tolist():
        rows = batch.sequence == i
        (episode,) = set(batch.input.obs[0][rows, 0].tolist())
        found.append((episode, tuple(batch.rows.reward[rows].int().tolist())))
    return found


def stored(buffer):
    columns = buffer.state_dict()["columns"]
    return set(zip(columns["rows.input.obs.0"][:, 0].tolist(), columns["rows.reward"].int().tolist(), strict=True))


def check(buffer):
    """Every stored row is in just one sequence, and each sequence is a run of an episode's rows within one piece."""
    found = set(sequences_of(buffer.sample(20 * len(buffer))))
    rows = [(episode, row) for episode, numbers in found for row in numbers]
    assert len(rows) == len(set(rows))
    assert set(rows) == stored(buffer)
    for _, numbers in found:
        assert numbers == tuple(range(numbers[0], numbers[0] + len(numbers)))
        assert numbers[0] // buffer.length == numbers[-1] // buffer.length
    for episode, row in stored(buffer):  # what begins in the middle of a piece does so because what was before is gone
        begins = any((episode, row) == (one, numbers[0]) for one, numbers in found)
        assert begins == (row % buffer.length == 0 or (episode, row - 1) not in stored(buffer))


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("length", [1, 3, 8])
@pytest.mark.parametrize("capacity", [2, 11, 40, None])
def test_sequences_are_runs_of_one_episode_and_hold_every_row_once(experience, capacity, length, n):
    rng = torch.Generator().manual_seed(n)
    lanes = Lanes(experience, SequenceBuffer(capacity, length), n)
    for _ in range(6):
        walk(lanes, 12, rng)
        check(lanes.buffer)
    for size in {capacity, 5, 60}:
        again = SequenceBuffer(size, length)
        again.load_state_dict(through_a_file(lanes.buffer.state_dict()))
        check(again)
        other = Lanes(experience, again, n)
        other.episode = [500] * 5
        walk(other, 12, rng)
        check(again)


def test_a_loaded_buffer_is_sampled_as_if_it_had_never_stopped(experience):
    rng = torch.Generator().manual_seed(0)
    lanes, again = Lanes(experience, SequenceBuffer(20, 3)), SequenceBuffer(20, 3)
    walk(lanes, 30, rng)
    lanes.close([0, 1, 2, 3, 4])
    again.load_state_dict(through_a_file(lanes.buffer.state_dict()))
    other = Lanes(experience, again)
    other.episode = list(lanes.episode)
    for each in (lanes, other):
        walk(each, 5, torch.Generator().manual_seed(4))
    drawn = []
    for each in (lanes, other):
        torch.manual_seed(5)
        drawn.append(list(each.buffer.sample(40).columns()))
    assert all(torch.equal(a, b) for a, b in zip(*drawn, strict=True))


def test_a_sequence_is_there_while_it_grows(experience):
    lanes = Lanes(experience, SequenceBuffer(20, 8))
    for rows in range(5):
        lanes.tick([0], [False])
        if rows:
            assert set(sequences_of(lanes.buffer.sample(1))) == {(0.0, tuple(range(rows)))}


def test_a_batch_has_as_many_sequences_as_have_its_rows_in_the_mean(experience):
    lanes = Lanes(experience, SequenceBuffer(None, 4))
    for turn in range(18):  # an episode has 6 rows: one sequence of 4, one of 2
        lanes.tick([0, 1], [turn % 6 == 5] * 2)
    counted = Counter(len(numbers) for _ in range(200) for _, numbers in sequences_of(lanes.buffer.sample(12)))
    assert set(counted) == {4, 2}
    assert sum(counted.values()) == 200 * 4
    assert counted[4] == pytest.approx(400, abs=60)
    assert sequences_of(lanes.buffer.sample(1))


def test_sources_with_lanes_of_the_same_numbers_do_not_mix(experience):
    buffer = SequenceBuffer(None, 4)
    one, other = Lanes(experience, buffer), Lanes(experience, buffer)
    other.episode = [7] * 5
    for _ in range(9):
        one.tick([0], [False])
        other.tick([0], [False])
    check(buffer)


@pytest.mark.parametrize("seed", range(5))
def test_sequences_that_were_sampled_can_be_dropped_and_new_rows_come_as_ever(experience, seed):
    rng = torch.Generator().manual_seed(seed)
    buffer = SequenceBuffer(60, 4, rng)
    lanes = Lanes(experience, buffer)
    walk(lanes, 30, rng)
    dropped = {(episode, row) for episode, rows in sequences_of(buffer.sample(8)) for row in rows}
    buffer.drop_sampled()
    left = sequences_of(buffer.sample(5000))
    assert left and not dropped & {(episode, row) for episode, rows in left for row in rows}
    buffer.drop_sampled()  # all of them: there are no others
    assert set(sequences_of(buffer.sample(5000))) == set(left)
    walk(lanes, 60, rng)
    for _, rows in sequences_of(buffer.sample(5000)):
        assert list(rows) == list(range(rows[0], rows[0] + len(rows)))
