import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mlagents.algorithms.episodes import EpisodeSums
from mlagents.algorithms.objectives import clipped_error, clipped_surrogate, gae, lambda_return, margin_loss, normalized
from mlagents.algorithms.schedules import Schedule


def flags(values):
    return torch.tensor(values, dtype=torch.bool)


def test_gae_of_one_agent_is_the_textbook_recursion():
    # d = (1 + .5*2 - 1, 1 + .5*0 - 2) = (1, -1);  A1 = -1;  A0 = 1 + .5*.5*(-1) = .75
    got = gae(
        torch.tensor([1.0, 1.0]), torch.tensor([1.0, 2.0]), torch.zeros(2), flags([0, 1]), torch.tensor([0, 0]),
        torch.tensor([0, 1, 2]), gamma=0.5, lam=0.5,
    )  # fmt: skip
    assert got.tolist() == [0.75, -1.0]


def slow_gae(reward, value, after, closes, lane, gamma, lam):
    """The same per agent, with a loop over its rows."""
    out = [0.0] * len(reward)
    for agent in set(lane):
        carry, following = 0.0, None
        for row in reversed([i for i, seat in enumerate(lane) if seat == agent]):
            if closes[row]:
                carry, following = 0.0, after[row]
            carry = reward[row] + gamma * following - value[row] + gamma * lam * carry
            out[row], following = carry, value[row]
    return out


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 5), st.integers(1, 8), st.randoms(use_true_random=False))
def test_gae_over_ragged_ticks_equals_the_recursion_per_agent(agents, steps, chance):
    lane, ticks = [], [0]
    for _ in range(steps):
        here = [seat for seat in range(agents) if chance.random() < 0.7]
        lane += here
        ticks.append(len(lane))
    n = len(lane)
    if not n:
        return
    last = {seat: max(i for i, other in enumerate(lane) if other == seat) for seat in lane}
    closes = [i == last[lane[i]] or chance.random() < 0.3 for i in range(n)]
    reward, value, after = ([chance.uniform(-1, 1) for _ in range(n)] for _ in range(3))
    got = gae(
        torch.tensor(reward), torch.tensor(value), torch.tensor(after), flags(closes), torch.tensor(lane),
        torch.tensor(ticks), gamma=0.9, lam=0.8,
    )  # fmt: skip
    assert torch.allclose(got, torch.tensor(slow_gae(reward, value, after, closes, lane, 0.9, 0.8)), atol=1e-5)


def test_each_signal_has_its_own_discount():
    reward, value = torch.tensor([[1.0, 1.0], [1.0, 1.0]]), torch.zeros(2, 2)
    got = gae(
        reward, value, torch.zeros(2, 2), flags([0, 1]), torch.tensor([0, 0]), torch.tensor([0, 1, 2]),
        gamma=torch.tensor([0.5, 0.0]), lam=1.0,
    )  # fmt: skip
    assert got.tolist() == [[1.5, 1.0], [1.0, 1.0]]


def test_advantages_are_normalized_over_the_population():
    # mean 2, population deviation 1
    assert normalized(torch.tensor([1.0, 3.0])).tolist() == pytest.approx([-1.0, 1.0])


def test_the_ratio_is_clipped_per_action_dimension():
    log_prob = torch.log(torch.tensor([[1.5, 1.0], [0.5, 1.1]]))
    # gains +1: min(1.5, 1.2) = 1.2 and 1.0; gains -1: min(-.5, -.8) = -.8 and min(-1.1, -1.1) = -1.1
    loss = clipped_surrogate(log_prob, torch.zeros(2, 2), torch.tensor([1.0, -1.0]), 0.2)
    assert loss.item() == pytest.approx(-(1.2 + 1.0 - 0.8 - 1.1) / 4)


def test_a_linear_schedule_ends_at_its_minimum():
    falling = Schedule(3e-4, 1e-10, 1000, linear=True)
    assert falling(0) == pytest.approx(3e-4)
    assert falling(250) == pytest.approx(2.25000025e-4)
    assert falling(1000) == falling(2000) == 1e-10
    assert Schedule(3e-4, 1e-10, 1000, linear=False)(1000) == 3e-4


def test_episodes_are_summed_over_rollouts():
    sums = EpisodeSums(1)
    ended = sums.add(torch.tensor([[1.0], [10.0], [2.0]]), torch.tensor([0, 1, 0]), flags([0, 0, 0]))
    assert ended.tolist() == []
    ended = sums.add(torch.tensor([[4.0], [20.0], [5.0]]), torch.tensor([0, 1, 0]), flags([1, 0, 0]))
    assert ended.tolist() == [[7.0]]
    ended = sums.add(torch.tensor([[30.0], [6.0]]), torch.tensor([1, 0]), flags([1, 1]))
    assert sorted(ended.flatten().tolist()) == [11.0, 60.0]


def test_lambda_returns_over_ragged_ticks_are_the_advantages_of_gae_and_the_values():
    draws = np.random.default_rng(0)
    lane = torch.tensor([0, 1, 2, 0, 2, 1, 0, 1, 2, 0])
    ticks, closes = torch.tensor([0, 3, 5, 6, 9, 10]), flags([0, 0, 1, 0, 0, 1, 0, 1, 1, 1])
    reward, value, after = (torch.from_numpy(draws.normal(size=(10, 2)).astype(np.float32)) for _ in range(3))
    gamma = torch.tensor([0.9, 0.5])
    want = gae(reward, value, after, closes, lane, ticks, gamma=gamma, lam=0.7) + value
    got = lambda_return(reward, value, after, closes, lane, ticks, gamma=gamma, lam=0.7)
    assert torch.allclose(got, want, atol=1e-5)
    by_row = lambda_return(
        reward, value, after, closes, lane, ticks, gamma=gamma.expand(10, 2), lam=torch.full((10, 1), 0.7)
    )  # fmt: skip
    assert torch.equal(got, by_row)


def vectors():
    shared = Path(os.environ.get("MLAGENTS_SPEC", Path(__file__).parents[4] / "shared" / "spec"))
    file = shared / "reference-vectors.json"
    if not file.is_file():
        pytest.skip("no reference vectors here")
    return json.loads(file.read_text())


def test_gae_equals_the_numbers_of_the_official_trainers():
    known = vectors()["gae"]
    n = len(known["rewards"])
    got = gae(
        torch.tensor(known["rewards"]), torch.tensor(known["values"]), torch.full((n,), known["value_next"]),
        flags([0] * (n - 1) + [1]), torch.zeros(n, dtype=torch.int64), torch.arange(n + 1),
        gamma=known["gamma"], lam=known["lambd"],
    )  # fmt: skip
    assert got.tolist() == pytest.approx(known["advantages"], abs=1e-5)


def test_lambda_returns_equal_the_numbers_of_the_official_trainers():
    known = vectors()["lambda_return"]
    reward, value = (torch.tensor(known[name])[:, None] for name in ("rewards", "values"))
    n = len(reward)
    after = torch.zeros(n, 1)
    after[-1] = known["value_next"]
    got = lambda_return(
        reward, value, after, flags([0] * (n - 1) + [1]), torch.zeros(n, dtype=torch.int64), torch.arange(n + 1),
        gamma=torch.tensor([known["gamma"]]), lam=known["lambd"],
    )  # fmt: skip
    assert got[:, 0].tolist() == pytest.approx(known["returns"], abs=1e-5)


def test_the_policy_loss_equals_the_numbers_of_the_official_trainers():
    known = vectors()["policy_loss"]
    rows = flags(known["mask"])
    loss = clipped_surrogate(
        torch.tensor(known["log_probs"])[rows], torch.tensor(known["old_log_probs"])[rows],
        torch.tensor(known["advantages"])[rows], known["epsilon"],
    )  # fmt: skip
    assert loss.item() == pytest.approx(known["loss"], abs=1e-6)


def test_the_clipped_error_equals_the_numbers_of_the_official_trainers():
    known = vectors()["value_loss"]
    rows = flags(known["mask"])
    value, old, target = (
        torch.tensor([known[part][signal] for signal in ("extrinsic", "gail")]).T[rows]
        for part in ("values", "old_values", "returns")
    )
    assert clipped_error(value, old, target, known["epsilon"]).item() == pytest.approx(known["loss_with_true_old"])


def test_schedules_equal_the_numbers_of_the_official_trainers():
    for known in vectors()["schedule_linear"]:
        got = Schedule(known["initial"], known["min"], known["max_step"], linear=True)(known["step"])
        assert got == pytest.approx(known["value"])


def test_the_margin_is_asked_of_every_other_allowed_choice_in_each_branch():
    worth = torch.tensor([[1.0, 2.0, 9.0, 0.5, 0.0], [3.0, 1.0, 0.0, 0.0, 4.0]])
    mask = torch.tensor([[True, True, False, True, True], [True, True, True, True, True]])
    choice = torch.tensor([[0, 0], [0, 1]])
    got = margin_loss(worth, choice, mask, (3, 2), 0.75)
    # branch 1: 2 + .75 - 1, the 9 is forbidden; 3 - 3 = 0: the others stay below.  Branch 2: 0 + .75 - .5; 4 - 4
    assert got.tolist() == [[1.75, 0.25], [0.0, 0.0]]
