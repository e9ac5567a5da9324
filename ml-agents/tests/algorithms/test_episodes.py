import torch

from mlagents.algorithms.episodes import EpisodeSums


def add(sums, reward, lane, done, lost=None):
    ended = sums.add(
        torch.tensor(reward)[:, None], torch.tensor(lane), torch.tensor(done, dtype=torch.bool),
        None if lost is None else torch.tensor(lost, dtype=torch.bool),
    )  # fmt: skip
    return ended[:, 0].tolist()


def test_an_episode_is_summed_over_several_rollouts():
    sums = EpisodeSums(1)
    assert add(sums, [1.0, 2.0, 4.0], [0, 1, 0], [0, 0, 0]) == []
    assert add(sums, [8.0, 16.0, 32.0], [0, 0, 1], [1, 0, 0]) == [13.0]
    assert sorted(add(sums, [64.0, 128.0], [1, 0], [1, 1])) == [98.0, 144.0]


def test_what_a_vanished_agent_was_given_is_not_added_to_who_takes_its_lane():
    sums = EpisodeSums(1)
    add(sums, [1.0, 2.0], [0, 1], [0, 0])
    assert add(sums, [4.0, 8.0, 16.0, 32.0], [0, 0, 0, 1], [0, 0, 1, 1], [1, 0, 0, 0]) == [24.0, 34.0]


def test_a_lane_can_be_dropped_between_rollouts():
    sums = EpisodeSums(1)
    add(sums, [1.0, 2.0], [0, 1], [0, 0])
    sums.drop(torch.tensor([0, 7]))
    assert add(sums, [4.0, 8.0], [0, 1], [1, 1]) == [4.0, 10.0]
