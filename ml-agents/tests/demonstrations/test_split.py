"""Which episodes are held out, and how they are measured."""

import pytest
import torch

from mlagents.demonstrations.split import Split, drawn_episodes, episodes_of


@pytest.mark.parametrize(
    ("count", "share", "held"), [(10, 0.3, 3), (10, 0.01, 1), (2, 0.9, 1), (3, 0.9, 2), (1, 0.5, 0), (10, 0.0, 0)]
)
def test_a_share_of_the_episodes_is_drawn_at_least_one_and_never_all(count, share, held):
    drawn = drawn_episodes(count, share, torch.Generator().manual_seed(0))
    assert len(drawn) == held == len(set(drawn.tolist()) & set(range(count)))


def test_other_random_numbers_draw_other_episodes():
    drawn = {tuple(drawn_episodes(20, 0.2, torch.Generator().manual_seed(seed)).tolist()) for seed in range(5)}
    assert len(drawn) == 5


def test_an_episode_ends_where_it_is_done_or_cut_off(experience):
    rows = experience([0, 1, 2, 3, 4], done=[False, True, False, False, False], interrupted=[False, False, False, True, False])
    assert episodes_of(rows).tolist() == [0, 0, 1, 1, 2]


@pytest.fixture
def split(experience):
    done = [i in (1, 4, 5, 9) for i in range(10)]  # episodes of 2, 3, 1 and 4 rows
    return Split(experience(list(range(10)), done=done), torch.tensor([0, 1, 3]))


def test_no_episode_is_cut_in_two(split):
    assert split.learned.input.obs[0][:, 0].tolist() == [5]
    assert split.measured.input.obs[0][:, 0].tolist() == [0, 1, 2, 3, 4, 6, 7, 8, 9]


@pytest.mark.parametrize(
    ("most", "blocks"), [(100, [9]), (9, [9]), (8, [5, 4]), (5, [5, 4]), (4, [2, 3, 4]), (1, [2, 3, 4])]
)
def test_blocks_hold_whole_episodes_and_every_row_once(split, most, blocks):
    found = list(split.measured_blocks(most))
    assert [len(rows) for rows, _ in found] == blocks
    assert torch.cat([rows.input.obs[0] for rows, _ in found])[:, 0].tolist() == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert torch.cat([episodes for _, episodes in found]).tolist() == [0, 0, 1, 1, 1, 3, 3, 3, 3]


def test_nothing_held_out_has_no_blocks(experience):
    assert list(Split(experience([0, 1]), torch.empty(0, dtype=torch.int64)).measured_blocks(4)) == []
