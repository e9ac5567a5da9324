"""The ring in which transitions lie."""

import io
from dataclasses import replace

import pytest
import torch

from mlagents.data.experience import PolicyInput
from mlagents.data.replay import ReplayBuffer, Transition


def transitions(experience, obs):
    rows, one = experience(obs), torch.ones(len(obs), 1)
    return Transition(rows, PolicyInput.of((rows.input.obs[0] + 0.5,)), one, one, one[:, 0] > 1)


def values(buffer):
    return set(buffer.sample(200).rows.input.obs[0].flatten().tolist())


def test_the_newest_rows_replace_the_oldest(experience):
    buffer = ReplayBuffer(3)
    buffer.append(transitions(experience, [1.0, 2.0]))
    buffer.append(transitions(experience, [3.0, 4.0]))
    assert len(buffer) == 3
    assert values(buffer) == {2, 3, 4}


def test_a_tick_larger_than_the_buffer_leaves_its_newest_rows(experience):
    buffer = ReplayBuffer(2)
    buffer.append(transitions(experience, [0.0]))
    buffer.append(transitions(experience, [1.0, 2.0, 3.0, 4.0]))
    assert values(buffer) == {3, 4}
    buffer.append(transitions(experience, [5.0]))
    assert values(buffer) == {4, 5}


def test_each_row_comes_with_what_followed_it(experience):
    buffer = ReplayBuffer(4)
    buffer.append(transitions(experience, [1.0, 2.0, 3.0]))
    sample = buffer.sample(50)
    assert torch.equal(sample.next_input.obs[0], sample.rows.input.obs[0] + 0.5)


def test_rows_that_were_sampled_can_be_dropped(experience):
    buffer = ReplayBuffer(6)
    buffer.append(transitions(experience, [1.0, 2.0, 3.0, 4.0]))
    dropped = set(buffer.sample(2).rows.input.obs[0].flatten().tolist())
    buffer.drop_sampled()
    assert values(buffer) == {1, 2, 3, 4} - dropped
    buffer.append(transitions(experience, [5.0]))
    assert values(buffer) == {1, 2, 3, 4, 5} - dropped
    buffer.drop_sampled()  # `values` has sampled all: there are no others
    assert values(buffer) == {1, 2, 3, 4, 5} - dropped


def test_images_of_dropped_rows_are_forgotten_and_those_of_the_others_stay(experience):
    buffer = ReplayBuffer(8)
    rows = transitions(experience, [1.0, 2.0, 3.0, 4.0])
    seen = [torch.full((4, 1, 2, 2), 0.0) + torch.arange(4.0)[:, None, None, None] + extra for extra in (0, 4)]
    inputs = [replace(rows.rows.input, obs=(rows.rows.input.obs[0], images / 255)) for images in seen]
    buffer.append(replace(rows, rows=replace(rows.rows, input=inputs[0]), next_input=inputs[1]))
    buffer.sample(2)
    buffer.drop_sampled()
    left = buffer.sample(200)
    assert torch.equal(left.input.obs[1][:, 0, 0, 0] * 255 + 1, left.input.obs[0][:, 0])
    assert torch.equal(left.next_input.obs[1][:, 0, 0, 0] * 255 - 3, left.input.obs[0][:, 0])
    assert buffer.frames.used == 2 * len(set(left.input.obs[0].flatten().tolist()))
    buffer.clear()
    assert buffer.frames.used == 0


def test_an_empty_buffer_cannot_be_sampled(experience):
    with pytest.raises(IndexError, match="empty"):
        ReplayBuffer(2).sample(1)
    cleared = ReplayBuffer(2)
    cleared.append(transitions(experience, [1.0]))
    cleared.clear()
    with pytest.raises(IndexError, match="empty"):
        cleared.sample(1)


def through_a_file(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("count", [2, 3, 5, 8])
def test_a_saved_ring_is_sampled_as_if_it_had_never_stopped(experience, count):
    buffer, restored = ReplayBuffer(3), ReplayBuffer(3)
    for i in range(count):
        buffer.append(transitions(experience, [float(i)]))
    restored.load_state_dict(through_a_file(buffer.state_dict()))
    for ring in (buffer, restored):
        ring.append(transitions(experience, [100.0]))
    drawn = []
    for ring in (buffer, restored):
        torch.manual_seed(5)
        drawn.append(list(ring.sample(20).columns()))
    assert all(torch.equal(a, b) for a, b in zip(*drawn, strict=True))
    assert restored.seen == buffer.seen


def test_a_smaller_ring_takes_the_newest_of_a_saved_one(experience):
    buffer, smaller = ReplayBuffer(4), ReplayBuffer(2)
    buffer.append(transitions(experience, [1.0, 2.0, 3.0]))
    smaller.load_state_dict(through_a_file(buffer.state_dict()))
    assert values(smaller) == {2, 3}
    empty = ReplayBuffer(2)
    empty.load_state_dict(through_a_file(ReplayBuffer(4).state_dict()))
    assert len(empty) == 0


@pytest.mark.parametrize("capacity", [5, 9, None])
def test_a_larger_ring_takes_all_rows_of_a_saved_one_and_nothing_else(experience, capacity):
    buffer, larger = ReplayBuffer(3), ReplayBuffer(capacity)
    buffer.append(transitions(experience, [1.0, 2.0, 3.0, 4.0, 5.0]))
    larger.load_state_dict(through_a_file(buffer.state_dict()))
    assert values(larger) == {3, 4, 5}
    larger.append(transitions(experience, [6.0]))
    assert values(larger) == {3, 4, 5, 6}
