import pytest
import torch

from mlagents.data.rollout import Rollout, Tick


@pytest.fixture
def tick(experience):
    def make(obs, lane, closes, finished=0):
        rows = experience(obs)
        after = (rows.input.obs[0] + 0.5,)
        return Tick(rows, torch.tensor(lane), torch.tensor(closes), after, finished)

    return make


def seen(segments):
    return segments.rows.input.obs[0].flatten().tolist()


def test_only_rows_of_closed_segments_are_ready(tick):
    rollout = Rollout()
    rollout.append(tick([1, 2], [0, 1], [False, False]))
    assert rollout.ready == 0
    rollout.append(tick([3, 4], [0, 1], [True, False], 2))
    assert rollout.ready == 2


def test_open_rows_wait_for_the_next_rollout(tick):
    rollout = Rollout()
    rollout.append(tick([1, 2], [0, 1], [False, False]))
    rollout.append(tick([3, 4], [0, 1], [True, False], 2))
    assert seen(rollout.take()) == [1, 3]
    assert rollout.ready == 0
    rollout.append(tick([5, 6], [0, 1], [False, True], 3))
    assert rollout.ready == 3
    segments = rollout.take()
    assert seen(segments) == [2, 4, 6]
    assert segments.ticks.tolist() == [0, 1, 2, 3]


def test_what_followed_is_kept_for_closing_rows_only(tick):
    rollout = Rollout()
    rollout.append(tick([1, 2], [0, 1], [True, False]))
    rollout.append(tick([3, 4], [0, 1], [False, True]))
    segments = rollout.take()
    assert seen(segments) == [1, 2, 4]
    assert segments.after[0].flatten().tolist() == [1.5, 4.5]
    assert segments.closes.tolist() == [True, False, True]


def test_a_cleared_rollout_holds_nothing(tick):
    rollout = Rollout()
    rollout.append(tick([1], [0], [True], 1))
    rollout.clear()
    assert rollout.ready == 0
    rollout.append(tick([7], [0], [True], 1))
    assert seen(rollout.take()) == [7]


def test_lanes_that_are_closed_end_at_their_last_rows(tick):
    rollout = Rollout()
    rollout.append(tick([1, 2, 3], [0, 1, 2], [False, True, False], 1))
    rollout.append(tick([4, 5], [0, 1], [False, False]))
    rollout.close(torch.tensor([0, 1]))
    assert rollout.ready == 4
    segments = rollout.take()
    assert seen(segments) == [1, 2, 4, 5]  # lane 2 goes on
    assert segments.closes.tolist() == [False, True, True, True]
    assert segments.after[0].flatten().tolist() == [2.5, 4.5, 5.5]


def test_closing_what_is_not_open_changes_nothing(tick):
    rollout = Rollout()
    rollout.close(torch.tensor([0]))
    rollout.append(tick([1, 2], [0, 1], [True, False], 1))
    rollout.close(torch.tensor([0, 7]))
    assert rollout.ready == 1
    assert seen(rollout.take()) == [1]


def test_rows_that_waited_since_the_last_rollout_are_closed_too(tick):
    rollout = Rollout()
    rollout.append(tick([1, 2], [0, 1], [False, True], 1))
    rollout.take()
    rollout.close(torch.tensor([0]))
    assert rollout.ready == 1
    segments = rollout.take()
    assert (seen(segments), segments.closes.tolist()) == ([1], [True])


def test_what_followed_open_rows_waits_with_them(tick):
    rollout = Rollout()
    rollout.append(tick([1, 2], [0, 1], [False, False]))
    rollout.append(tick([3], [0], [True], 2))
    rollout.take()
    rollout.close(torch.tensor([1]))
    segments = rollout.take()
    assert seen(segments) == [2]
    assert segments.after[0].flatten().tolist() == [2.5]


def test_who_vanished_is_interrupted_at_its_last_row_and_an_end_stays_an_end(tick):
    rollout = Rollout()
    rollout.append(tick([0, 1, 2], [0, 1, 2], [False, True, False]))
    assert rollout.close(torch.tensor([0, 1, 5])).tolist() == [True, True, False]
    segments = rollout.take()
    assert segments.closes.tolist() == [True, True]
    assert segments.rows.interrupted.tolist() == [True, True]
    assert segments.rows.done.tolist() == [False, False]


def test_a_lane_is_taken_by_another_agent_before_the_rollout_is():
    from mlagents.data.experience import Actions, Experience, PolicyInput, PolicyOutput
    from mlagents.data.rollout import Tick

    def one(seen, done=False, closes=False, finished=0):
        nothing = torch.zeros(1, 0)
        output = PolicyOutput(Actions(nothing, nothing.long()), nothing, torch.zeros(1), nothing)
        flags = torch.tensor([done]), torch.tensor([False])
        rows = Experience(
            PolicyInput((torch.tensor([[seen]]),), nothing.bool(), nothing), output, torch.tensor([1.0]),
            torch.zeros(1, dtype=torch.int64), torch.zeros(1), *flags,
        )  # fmt: skip
        return Tick(rows, torch.tensor([0]), torch.tensor([closes]), (torch.tensor([[seen + 1]]),), finished)

    rollout = Rollout()
    rollout.append(one(10.0))
    rollout.append(one(11.0))
    rollout.close(torch.tensor([0]))
    rollout.append(one(20.0))
    rollout.append(one(21.0, done=True, closes=True, finished=2))
    assert rollout.ready == 4
    segments = rollout.take()
    assert segments.closes.tolist() == [False, True, False, True]
    assert segments.rows.interrupted.tolist() == [False, True, False, False]
    assert [column.tolist() for column in segments.after] == [[[12.0], [22.0]]]
