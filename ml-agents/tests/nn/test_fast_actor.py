"""An actor of plain layers answers by kernels what it would answer by torch, and steps aside for what an author changes."""

import copy
from importlib import import_module

import numpy as np
import pytest
import torch

from mlagents.data.experience import PolicyInput
from mlagents.nn import fast_actor
from mlagents.nn.normalize import Normalizer
from mlagents.nn.policy import Actor, Policy
from mlagents.nn.settings import NetworkSettings
from mlagents_envs.base_env import ActionSpec, BehaviorSpec
from mlagents_envs.examples.example import vector_sensor

SPACES = {
    "continuous": ActionSpec.create_continuous(3),
    "one branch": ActionSpec.create_discrete((4,)),
    "unequal branches": ActionSpec.create_discrete((2, 5, 3)),
    "hybrid": ActionSpec.create_hybrid(2, (3, 2)),
}


@pytest.fixture(params=["numba", "numpy"], autouse=True)
def arithmetic(request, monkeypatch):
    if request.param == "numba":
        pytest.importorskip("numba")
    module = import_module(f"mlagents.nn.kernels_{request.param}")
    monkeypatch.setattr(fast_actor, "kernels", lambda: module)
    monkeypatch.setattr(import_module("mlagents.nn.normalize"), "kernels", lambda: module)


def actor(space, sensors=1):
    torch.manual_seed(1)
    spec = BehaviorSpec([vector_sensor(5, f"seen{i}") for i in range(sensors)], SPACES[space])
    made = Actor(spec, NetworkSettings(normalize=True, hidden_units=16))
    with torch.no_grad():
        made.head.weight *= 20  # far from uniform
        made.log_sigma += 0.3
    made.generator = torch.Generator().manual_seed(4)
    return made


def asked(made, n=40):
    mask = torch.rand(n, sum(made.branches)) < 0.7
    first = 0
    for size in made.branches:
        mask[:, first] = True
        first += size
    obs = tuple(3 * torch.randn(n, 5) for _ in made.spec.observation_specs)
    made.observe(obs)
    return PolicyInput(obs, mask, torch.zeros(n, 0))


def answers(made, input, explore):
    """What is answered by `act`, and by torch, from the same random numbers, and whether it took as many."""
    state = made.generator.get_state()
    got = made.act(input, explore=explore)
    after = made.generator.get_state()
    made.generator.set_state(state)
    return got, Policy.act(made, input, explore=explore), torch.equal(after, made.generator.get_state())


def agree(got, want):
    return torch.equal(got.action.discrete, want.action.discrete) and all(
        torch.allclose(mine, theirs, atol=2e-6, rtol=1e-5)
        for mine, theirs in zip(got.columns(), want.columns(), strict=True)
    )


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("sensors", [1, 2])
@pytest.mark.parametrize("explore", [True, False])
def test_actions_probabilities_and_random_numbers_are_those_of_torch(space, sensors, explore):
    made = actor(space, sensors)
    got, want, as_many = answers(made, asked(made), explore)
    assert agree(got, want) and as_many
    assert made._fast.applies(asked(made))


@pytest.mark.parametrize("space", SPACES)
def test_nobody_is_answered_too(space):
    made = actor(space)
    input = asked(made)[:0]
    assert [column.shape for column in made.act(input).columns()] == [
        column.shape for column in Policy.act(made, input).columns()
    ]


def replaced_head(made):
    made.head = torch.nn.Linear(16, made.head.out_features)


def replaced_layer(made):
    made.body.layers[0] = torch.nn.Linear(5, 16)


def moved_weights(made):
    made.head.weight.data = 2 * made.head.weight.data


def changed_weights(made):
    made.head.weight.data.mul_(2)


def moved_sigma(made):
    made.log_sigma.data = made.log_sigma.data - 1


def another_forward(made):
    usual = made.forward
    made.forward = lambda input: usual(PolicyInput(tuple(0.5 * column for column in input.obs), input.mask, input.memory))


def another_encoding(made):
    usual = made.body.encode
    made.body.encode = lambda obs: 0.5 * usual(obs)


def hook_on_a_layer(made):
    made.body.layers[1].register_forward_hook(lambda layer, x, y: 0.5 * y)


def hook_on_the_body(made):
    made.body.register_forward_hook(lambda body, x, y: y + 1)


def hook_on_the_normalizer(made):
    made.body.normalizer.register_forward_hook(lambda normalizer, x, y: y + 1)


def double_precision(made):
    made.double()
    made.float()


CHANGES = [
    replaced_head, replaced_layer, moved_weights, changed_weights, moved_sigma, another_forward, another_encoding,
    hook_on_a_layer, hook_on_the_body, hook_on_the_normalizer, double_precision,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_what_an_author_changes_is_seen_at_the_next_call(change):
    made = actor("continuous")
    input = asked(made)
    before = made.act(input, explore=False).action.continuous
    change(made)
    got, want, _ = answers(made, input, True)
    assert agree(got, want)
    if change not in (double_precision, moved_sigma):
        assert not torch.allclose(made.act(input, explore=False).action.continuous, before)


def test_a_copy_answers_from_its_own_weights():
    made = actor("hybrid")
    input = asked(made)
    made.act(input)
    copied = copy.deepcopy(made)
    with torch.no_grad():
        made.head.bias += 1
    got, want, _ = answers(copied, input, True)
    assert agree(got, want)
    mine, copies = (one.act(input, explore=False).action.continuous for one in (made, copied))
    assert torch.allclose(mine, copies + 1, atol=1e-5)


def test_rows_are_scaled_and_cut_as_by_torch():
    torch.manual_seed(2)
    normalizer, rows = Normalizer(4), 8 * torch.randn(100, 4) + torch.tensor([0.0, 5.0, -3.0, 100.0])
    normalizer.update(rows)
    got, want = normalizer(rows * 3), normalizer((rows * 3).requires_grad_()).detach()
    assert torch.allclose(got, want, atol=1e-5)
    assert got.abs().max() == 5


def test_a_number_that_is_none_stays_none():
    made = actor("continuous")
    input = asked(made)
    input.obs[0][3, 2] = np.nan
    output = made.act(input)
    assert output.action.continuous[3].isnan().all()
    assert output.action.continuous[:3].isfinite().all()
