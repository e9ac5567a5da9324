import pytest
import torch

from mlagents.data.replay import ReplayBuffer
from mlagents.data.rollout import Tick


def tick(experience, obs):
    rows = experience(obs)
    return Tick(rows, torch.arange(len(obs)), torch.zeros(len(obs), dtype=torch.bool), (rows.input.obs[0] + 0.5,), 0)


def values(buffer):
    return set(buffer.sample(200).rows.input.obs[0].flatten().tolist())


def test_the_newest_rows_replace_the_oldest(experience):
    buffer = ReplayBuffer(3)
    buffer.append(tick(experience, [1.0, 2.0]))
    buffer.append(tick(experience, [3.0, 4.0]))
    assert len(buffer) == 3
    assert values(buffer) == {2, 3, 4}


def test_a_tick_larger_than_the_buffer_leaves_its_newest_rows(experience):
    buffer = ReplayBuffer(2)
    buffer.append(tick(experience, [0.0]))
    buffer.append(tick(experience, [1.0, 2.0, 3.0, 4.0]))
    assert values(buffer) == {3, 4}
    buffer.append(tick(experience, [5.0]))
    assert values(buffer) == {4, 5}


def test_each_row_comes_with_what_followed_it(experience):
    buffer = ReplayBuffer(4)
    buffer.append(tick(experience, [1.0, 2.0, 3.0]))
    sample = buffer.sample(50)
    assert torch.equal(sample.after[0], sample.rows.input.obs[0] + 0.5)


def test_an_empty_buffer_cannot_be_sampled():
    with pytest.raises(IndexError, match="empty"):
        ReplayBuffer(2).sample(1)
