"""Distributions of actions against torch.distributions, by sampling, and by finite differences."""

import math

import pytest
import torch
from torch import distributions as reference

from mlagents.data.experience import Actions
from mlagents.nn.distributions import ACTION_CLIP, Categorical, EpsilonGreedy, Gaussian, Hybrid, SquashedGaussian

N, C = 5, 3
BRANCHES = (2, 4, 3)


def mean():
    return torch.linspace(-1.5, 1.5, N * C, device="cpu").reshape(N, C)


def log_sigma(rows):
    return torch.linspace(-1.0, 0.5, rows * C).reshape(rows, C)


def actions(continuous, discrete=None):
    none = torch.zeros(len(continuous), 0, dtype=torch.int64)
    return Actions(continuous, none if discrete is None else discrete)


def masks():
    mask = torch.rand(N, sum(BRANCHES)) < 0.6
    first = 0
    for size in BRANCHES:
        mask[:, first + size - 1] = True
        first += size
    return mask


def categorical(seed=0):
    torch.manual_seed(seed)
    logits, mask = torch.randn(N, sum(BRANCHES)), masks()
    tables = zip(logits.split(BRANCHES, 1), mask.split(BRANCHES, 1), strict=True)
    others = [reference.Categorical(logits=part.masked_fill(~allowed, -1e9)) for part, allowed in tables]
    return Categorical(logits, mask, BRANCHES), others


@pytest.mark.parametrize("rows", [1, N])
def test_a_gaussian_is_torchs_normal(rows):
    mine, theirs = Gaussian(mean(), log_sigma(rows)), reference.Normal(mean(), log_sigma(rows).exp().expand(N, C))
    action = actions(torch.randn(N, C))
    for log_prob in (mine.log_prob(action), mine.evaluate(action)[0]):
        assert torch.allclose(log_prob, theirs.log_prob(action.continuous), atol=1e-4)
    for entropy in (mine.entropy(), mine.evaluate(action)[1]):
        assert torch.allclose(entropy, theirs.entropy().mean(1), atol=1e-4)
    assert torch.equal(mine.mode().continuous, mean())
    other = Gaussian(mean().flip(0), log_sigma(rows) + 0.3)
    divergence = reference.kl_divergence(theirs, reference.Normal(other.mean, other.log_sigma.exp().expand(N, C)))
    assert torch.allclose(mine.kl(other), divergence.sum(1), atol=1e-4)


@pytest.mark.parametrize("rows", [1, N])
def test_gradients_of_a_gaussian_are_those_of_torchs_normal(rows):
    action, found = actions(torch.randn(N, C)), []
    for own in (True, False):
        m, s = mean().requires_grad_(), log_sigma(rows).requires_grad_()
        if own:
            log_prob, entropy = Gaussian(m, s).evaluate(action)
        else:
            normal = reference.Normal(m, s.exp().expand(N, C))
            log_prob, entropy = normal.log_prob(action.continuous), normal.entropy().mean(1)
        (log_prob.pow(2).sum() + entropy.sum()).backward()
        found.append((m.grad, s.grad))
    for mine, theirs in zip(*found, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-3, rtol=1e-4)


def squashed(rows=N):
    wide = log_sigma(rows).expand(N, C)
    transform = [reference.transforms.TanhTransform(cache_size=1)]
    return SquashedGaussian(mean(), wide), reference.TransformedDistribution(
        reference.Normal(mean(), wide.exp()), transform
    )


def test_a_squashed_gaussian_is_torchs_normal_behind_a_tanh():
    mine, theirs = squashed()
    action = actions(torch.rand(N, C) * 1.9 - 0.95)
    assert torch.allclose(mine.log_prob(action), theirs.log_prob(action.continuous), atol=1e-4)
    assert torch.allclose(mine.evaluate(action)[0], theirs.log_prob(action.continuous), atol=1e-4)
    assert torch.allclose(mine.mode().continuous, mean().tanh())
    drawn = mine.sample()  # its own sample is known before the tanh
    assert torch.allclose(mine.log_prob(drawn), SquashedGaussian(mine.mean, mine.log_sigma).log_prob(drawn), atol=1e-3)


def test_the_entropy_of_a_squashed_gaussian_is_the_mean_of_its_surprise():
    mine, theirs = squashed()
    surprise = -theirs.log_prob(theirs.sample((200_000,))).mean((0, 2))
    assert torch.allclose(mine.entropy(), surprise, atol=0.02)
    assert torch.equal(mine.evaluate(mine.sample())[1], mine.entropy())


def test_the_entropy_of_a_squashed_gaussian_has_the_gradient_of_its_value():
    def entropy(m, s):
        return SquashedGaussian(m, s).entropy()

    inputs = [mean().double().requires_grad_(), log_sigma(N).double().requires_grad_()]
    assert torch.autograd.gradcheck(entropy, inputs)


def test_a_far_action_of_a_squashed_gaussian_has_a_finite_density_and_gradient():
    m = torch.full((1, 1), 30.0, requires_grad=True)
    distribution = SquashedGaussian(m, torch.zeros(1, 1))
    for action in (distribution.rsample(), actions(torch.ones(1, 1))):
        log_prob = distribution.log_prob(action)
        assert torch.isfinite(log_prob).all()
        assert torch.isfinite(torch.autograd.grad(log_prob.sum(), m)[0]).all()


@pytest.mark.parametrize("kind", [Gaussian, SquashedGaussian])
def test_gradients_flow_through_samples_as_finite_differences_say(kind):
    def surprise(m, s):
        distribution = kind(m, s)
        action = distribution.rsample(torch.Generator().manual_seed(3))
        return action.continuous, distribution.log_prob(action)

    inputs = [mean().double().requires_grad_(), log_sigma(N).double().requires_grad_()]
    assert torch.autograd.gradcheck(surprise, inputs)


def test_log_probs_of_choices_and_entropies_are_torchs_categorical():
    mine, theirs = categorical()
    choice = mine.sample().discrete
    expected = torch.stack([other.log_prob(choice[:, i]) for i, other in enumerate(theirs)], 1)
    assert torch.allclose(mine.log_prob(actions(torch.zeros(N, 0), choice)), expected, atol=1e-5)
    assert torch.allclose(mine.entropy(), sum(other.entropy() for other in theirs), atol=1e-4)
    assert torch.equal(mine.mode().discrete, torch.stack([other.probs.argmax(1) for other in theirs], 1))


def test_the_divergence_of_choices_is_torchs():
    mine, theirs = categorical()
    again, others = Categorical(torch.randn(N, sum(BRANCHES)), torch.ones(N, 9, dtype=torch.bool), BRANCHES), []
    others = [reference.Categorical(probs=probs) for probs in again.probs]
    expected = sum(reference.kl_divergence(a, b) for a, b in zip(theirs, others, strict=True))
    assert torch.allclose(mine.kl(again), expected, atol=1e-4)
    assert torch.allclose(mine.kl(mine), torch.zeros(N), atol=1e-6)


def frequencies(distribution, n=40_000):
    return [torch.bincount(column, minlength=size) / n for column, size in
            zip(distribution.sample(torch.Generator().manual_seed(1)).discrete.T, BRANCHES, strict=True)]  # fmt: skip


def test_choices_are_drawn_as_often_as_their_probabilities_say_and_forbidden_ones_never():
    torch.manual_seed(0)
    logits, mask = torch.randn(1, 9).expand(40_000, 9), masks()[:1].expand(40_000, 9)
    for distribution in (Categorical(logits, mask, BRANCHES), EpsilonGreedy(logits, mask, BRANCHES, 0.6)):
        parts = mask[0].split(BRANCHES)
        for seen, probs, allowed in zip(frequencies(distribution), distribution.probs, parts, strict=True):
            assert torch.allclose(seen, probs[0], atol=0.015)
            assert not seen[~allowed].any()


def test_an_epsilon_greedy_choice_has_the_probability_it_is_drawn_with():
    values, mask = torch.tensor([[1.0, 5.0, 2.0, 9.0]]), torch.tensor([[True, True, True, False]])
    distribution = EpsilonGreedy(values, mask, (4,), 0.3)
    assert torch.allclose(distribution.probs[0], torch.tensor([[0.1, 0.8, 0.1, 0.0]]))
    log_prob = distribution.log_prob(actions(torch.zeros(1, 0), torch.tensor([[1]])))
    assert log_prob.item() == pytest.approx(math.log(0.8), abs=1e-5)
    expected = reference.Categorical(probs=torch.tensor([0.1, 0.8, 0.1, 0.0])).entropy()
    assert distribution.entropy().item() == pytest.approx(expected.item(), abs=1e-4)
    assert EpsilonGreedy(values, mask, (4,), 0.0).sample().discrete.tolist() == [[1]]


def hybrid():
    return Hybrid(Gaussian(mean(), log_sigma(N)), categorical()[0])


def test_a_hybrid_is_both_halves_side_by_side():
    both = hybrid()
    action = both.sample(torch.Generator().manual_seed(2))
    expected = torch.cat([both.continuous.log_prob(action), both.discrete.log_prob(action)], 1)
    log_prob, entropy = both.evaluate(action)
    assert torch.allclose(log_prob, expected, atol=1e-5) and torch.allclose(both.log_prob(action), expected, atol=1e-5)
    assert torch.allclose(entropy, both.continuous.entropy() + both.discrete.entropy(), atol=1e-5)
    assert torch.allclose(both.entropy(), entropy, atol=1e-5)
    again = Hybrid(Gaussian(mean() + 1, log_sigma(N)), categorical()[0])
    assert torch.allclose(both.kl(again), both.continuous.kl(again.continuous), atol=1e-5)
    assert torch.equal(both.mode().continuous, mean())
    assert torch.equal(both.mode().discrete, both.discrete.mode().discrete)


@pytest.mark.parametrize("kind", [Gaussian, SquashedGaussian])
def test_what_the_environment_gets_lies_within_bounds_and_leads_back(kind):
    wide = kind(3 * mean(), log_sigma(N) + 1)
    for action in (wide.sample(), wide.mode()):
        got = wide.to_env(action)
        assert (got.continuous.abs() <= 1).all()
        assert got.discrete is action.discrete
    asked = actions(torch.rand(N, C) * 1.98 - 0.99)
    assert torch.allclose(wide.to_env(wide.from_env(asked)).continuous, asked.continuous, atol=1e-5)
    both = Hybrid(wide, categorical()[0])
    choice = categorical()[0].mode().discrete
    there = both.from_env(actions(asked.continuous, choice))
    assert torch.equal(there.continuous, wide.from_env(asked).continuous)
    assert torch.equal(both.to_env(there).discrete, choice)


def test_a_gaussian_is_clipped_where_unity_clips_it():
    env = Gaussian.to_env(actions(torch.tensor([[-9.0, 1.5, ACTION_CLIP]])))
    assert env.continuous.tolist() == [[-1.0, 0.5, 1.0]]


MADE = {
    "gaussian": lambda: Gaussian(mean(), log_sigma(1)),
    "squashed": lambda: squashed()[0],
    "categorical": lambda: categorical()[0],
    "epsilon-greedy": lambda: EpsilonGreedy(torch.randn(N, 9), torch.ones(N, 9, dtype=torch.bool), BRANCHES, 0.5),
    "hybrid": hybrid,
}


@pytest.mark.parametrize("name", MADE)
def test_samples_of_a_generator_are_repeatable_and_leave_torchs_own_alone(name):
    distribution = MADE[name]()
    before = torch.get_rng_state()
    one, same, other = (distribution.sample(torch.Generator().manual_seed(seed)) for seed in (4, 4, 5))
    distribution.evaluate(one), distribution.entropy()
    assert torch.equal(torch.get_rng_state(), before)
    for mine, theirs in zip(one.columns(), same.columns(), strict=True):
        assert torch.equal(mine, theirs)
    assert not all(torch.equal(a, b) for a, b in zip(one.columns(), other.columns(), strict=True))
    assert not any(column.requires_grad for column in one.columns())


@pytest.mark.parametrize("name", ["categorical", "epsilon-greedy", "hybrid"])
def test_choices_cannot_be_differentiated_and_say_so(name):
    with pytest.raises(NotImplementedError, match="has no samples that can be differentiated"):
        MADE[name]().rsample()


@pytest.mark.parametrize("name", MADE)
def test_nobody_is_answered_by_nothing(name):
    none = torch.zeros(0, C)
    empty = {
        "gaussian": lambda: Gaussian(none, log_sigma(1)),
        "squashed": lambda: SquashedGaussian(none, none),
        "categorical": lambda: Categorical(torch.zeros(0, 9), torch.zeros(0, 9, dtype=torch.bool), BRANCHES),
        "epsilon-greedy": lambda: EpsilonGreedy(
            torch.zeros(0, 9), torch.zeros(0, 9, dtype=torch.bool), BRANCHES, 0.5
        ),
        "hybrid": lambda: Hybrid(
            Gaussian(none, log_sigma(1)), Categorical(torch.zeros(0, 9), torch.zeros(0, 9, dtype=torch.bool), BRANCHES)
        ),
    }[name]()
    action = empty.sample(torch.Generator())
    log_prob, entropy = empty.evaluate(action)
    assert len(action) == len(log_prob) == len(entropy) == 0
