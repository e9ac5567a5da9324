"""Records become rows: each with what followed it, whatever pieces they come in."""

import numpy as np
import pytest
import torch

from mlagents.data.experience import Actions
from mlagents.data.n_step import NStepReturns
from mlagents.data.replay import Transition
from mlagents.demonstrations.replayed import ReplayedDemonstration


def tripled(told):
    return Actions(told.continuous * 3, told.discrete)


def rows(*pieces, n=1):
    """Return the rows that pieces give, in the order of what was seen."""
    replayed = ReplayedDemonstration(tripled)
    returns = NStepReturns(n, gamma=[0.5], ignores_done=[False], demonstrated=True)
    tables = []
    for piece in pieces:
        for tick in replayed.ticks(piece):
            assert len(set(tick.lane.tolist())) == len(tick.lane)
            tables += returns.take(tick, tick.rows.reward[:, None])
    table = Transition.concat([part.transitions for part in tables + returns.clear()])
    return table[torch.argsort(table.rows.input.obs[0][:, 0])]


def test_a_row_has_what_was_done_and_what_came_of_it(shown):
    table = rows(shown(3, 2, 4, interrupted=[1]))
    assert table.rows.input.obs[0].flatten().tolist() == [0, 1, 3, 5, 6, 7]
    assert table.next_input.obs[0].flatten().tolist() == [1, 2, 4, 6, 7, 8]
    assert table.returns.flatten().tolist() == [1, 2, 4, 6, 7, 8]
    assert table.rows.done.tolist() == [False, True, True, False, False, True]
    assert table.rows.interrupted.tolist() == [False, False, True, False, False, False]
    assert table.discount.flatten().tolist() == [0.5, 0, 0.5, 0.5, 0.5, 0]  # a cut episode would have gone on
    # that of the record that followed, also at an end
    assert table.rows.output.action.discrete.flatten().tolist() == [1, 2, 1, 0, 1, 2]
    assert table.rows.output.action.continuous.flatten().tolist() == pytest.approx([0.03, 0.06, 0.12, 0.18, 0.21, 0.24])
    assert table.rows.input.mask[:, 2].tolist() == [True, False, False, False, True, False]
    assert table.next_input.mask[:, 2].tolist() == [False, True, True, True, False, True]  # nobody was asked at an end
    assert table.demonstrated.all()


def test_returns_over_several_rows_end_with_their_episode(shown):
    table = rows(shown(4, 2), n=2)
    assert table.rows.input.obs[0].flatten().tolist() == [0, 1, 2, 4]
    assert table.returns.flatten().tolist() == [1 + 0.5 * 2, 2 + 0.5 * 3, 3, 5]
    assert table.next_input.obs[0].flatten().tolist() == [2, 3, 3, 5]


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("seed", range(5))
def test_pieces_give_the_same_rows_as_the_whole(shown, n, seed):
    whole = shown(3, 1, 5, 2, 7, ends=False)
    cuts = np.sort(np.random.default_rng(seed).choice(np.arange(1, len(whole)), 6, replace=False)).tolist()
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    one, other = rows(whole, n=n), rows(*pieces, n=n)
    assert all(torch.equal(a, b) for a, b in zip(one.columns(), other.columns(), strict=True))


def test_a_long_session_needs_no_more_lanes_than_a_short_one(shown):
    replayed, lanes = ReplayedDemonstration(tripled), set()
    for start in range(100):
        for tick in replayed.ticks(shown(2, 3, first=10 * start, ends=False)):
            lanes |= set(tick.lane.tolist())
    assert max(lanes) <= 2
