"""Distributions of actions. n rows, C continuous actions, B branches, K the sum of branch sizes, D = C + B.

A distribution is made of what a network puts out, for n rows at once. Its class says how actions look to the
environment (`to_env`, `from_env`) and how they are exported (`export.heads`; any other class is traced).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor

from mlagents.data.experience import Actions
from mlagents.nn import fast

EPSILON = 1e-7  # as Unity's trainers have it; keeps logarithms finite
ACTION_CLIP = 3.0  # samples of a Gaussian are clipped here before the environment gets them, scaled to [-1, 1]
EDGE = 1 - 1e-6  # the largest action of a tanh that can be inverted

_NODE, _WEIGHT = np.polynomial.hermite_e.hermegauss(32)
QUADRATURE = (_NODE.tolist(), (_WEIGHT / _WEIGHT.sum()).tolist())  # of the mean over a standard normal distribution


class Distribution(ABC):
    """What a policy may do in each of n rows."""

    @abstractmethod
    def sample(self, generator: torch.Generator | None = None) -> Actions:
        """Draw actions, without gradients; from torch's global generator where none is given."""

    @abstractmethod
    def mode(self) -> Actions:
        """Return the most probable actions."""

    @abstractmethod
    def log_prob(self, action: Actions) -> Tensor:
        """Return (n, D) log densities of each continuous action, then log probabilities of each branch's choice."""

    @abstractmethod
    def entropy(self) -> Tensor:
        """Return (n,) entropies: averaged over continuous actions and summed over branches, as Unity's trainers do."""

    def rsample(self, generator: torch.Generator | None = None) -> Actions:
        """Draw actions through which gradients flow to the network; raises NotImplementedError for discrete ones."""
        raise NotImplementedError(f"{type(self).__name__} has no samples that can be differentiated")

    def kl(self, other: Distribution) -> Tensor:
        """Return (n,) divergences KL(self || other), summed over actions; `other` is of the same class."""
        raise NotImplementedError(f"{type(self).__name__} has no KL divergence in closed form")

    def evaluate(self, action: Actions) -> tuple[Tensor, Tensor]:
        """Return `log_prob(action)` and the entropy."""
        return self.log_prob(action), self.entropy()

    @staticmethod
    def to_env(action: Actions) -> Actions:
        """Return what the environment gets for actions of this distribution."""
        return action

    @staticmethod
    def from_env(action: Actions) -> Actions:
        """Return the actions for which the environment gets these: the inverse of `to_env`."""
        return action


class Normal(Distribution):
    """Independent normal distributions u ~ N(m, s), of which `_actions` makes actions."""

    def __init__(self, mean: Tensor, log_sigma: Tensor) -> None:
        """mean: (n, C); log_sigma: (1, C), or (n, C) where it depends on the state."""
        self.mean, self.log_sigma = mean, log_sigma

    def sample(self, generator: torch.Generator | None = None) -> Actions:
        with torch.no_grad():
            return self.rsample(generator)

    def rsample(self, generator: torch.Generator | None = None) -> Actions:
        return self._actions(torch.addcmul(self.mean, self.log_sigma.exp(), _noise(self.mean, generator)))

    def mode(self) -> Actions:
        return self._actions(self.mean)

    @abstractmethod
    def _actions(self, u: Tensor) -> Actions:
        """Return the actions of (n, C) values of the normal distributions."""


class Gaussian(Normal):
    """Independent normal distributions, clipped and scaled for the environment."""

    def log_prob(self, action: Actions) -> Tensor:
        return gaussian_log_prob(self.mean, self.log_sigma.exp(), action.continuous)

    def entropy(self) -> Tensor:
        return gaussian_entropy(self.log_sigma.exp()).expand(len(self.mean))

    def evaluate(self, action: Actions) -> tuple[Tensor, Tensor]:
        log_prob, entropy = gaussian(self.mean, self.log_sigma, action.continuous)
        return log_prob, entropy.expand(len(self.mean))

    def kl(self, other: Distribution) -> Tensor:
        """KL(p || q) = log(s_q / s_p) + (s_p^2 + (m_p - m_q)^2) / (2 s_q^2) - 1/2, summed over actions."""
        assert isinstance(other, Gaussian)
        variance, wide = (2 * self.log_sigma).exp(), (2 * other.log_sigma).exp()
        off = (self.mean - other.mean) ** 2
        return (other.log_sigma - self.log_sigma + (variance + off) / (2 * wide) - 0.5).sum(1)

    @staticmethod
    def to_env(action: Actions) -> Actions:
        return Actions(action.continuous.clamp(-ACTION_CLIP, ACTION_CLIP) / ACTION_CLIP, action.discrete)

    @staticmethod
    def from_env(action: Actions) -> Actions:
        return Actions(action.continuous * ACTION_CLIP, action.discrete)

    def _actions(self, u: Tensor) -> Actions:
        return Actions(u, u.new_zeros((len(u), 0), dtype=torch.int64))


class SquashedGaussian(Normal):
    """tanh of a normal distribution: actions in (-1, 1), as the environment gets them.

    log p(a) = log N(u; m, s) - log(1 - tanh(u)^2), a = tanh(u).  Haarnoja et al. 2018, arXiv:1801.01290, appendix C
    """

    def __init__(self, mean: Tensor, log_sigma: Tensor) -> None:
        """mean, log_sigma: of u."""
        super().__init__(mean, log_sigma)
        self._drawn: tuple[Tensor, Tensor] | None = None  # the newest sample and its u, which atanh knows less exactly

    def log_prob(self, action: Actions) -> Tensor:
        drawn = self._drawn is not None and self._drawn[0] is action.continuous
        u = self._drawn[1] if drawn and self._drawn else action.continuous.clamp(-EDGE, EDGE).atanh()
        return gaussian_log_prob(self.mean, self.log_sigma.exp(), u) - log_slope(u)

    def entropy(self) -> Tensor:
        """Return (n,) entropies by Gauss-Hermite quadrature: H(a) = H(u) + E[log(1 - tanh(u)^2)]."""
        sigma = self.log_sigma.exp()
        node, weight = (self.mean.new_tensor(each) for each in QUADRATURE)
        u = self.mean.unsqueeze(-1) + sigma.unsqueeze(-1) * node
        return gaussian_entropy(sigma) + (log_slope(u) @ weight).mean(1)

    def kl(self, other: Distribution) -> Tensor:
        """Return the divergence of the Gaussians: squashing both in the same way leaves it as it is."""
        assert isinstance(other, SquashedGaussian)
        return Gaussian(self.mean, self.log_sigma).kl(Gaussian(other.mean, other.log_sigma))

    @staticmethod
    def from_env(action: Actions) -> Actions:
        return Actions(action.continuous.clamp(-EDGE, EDGE), action.discrete)

    def _actions(self, u: Tensor) -> Actions:
        squashed = u.tanh()
        self._drawn = squashed, u
        return Actions(squashed, u.new_zeros((len(u), 0), dtype=torch.int64))


class Categorical(Distribution):
    """One choice in each branch; forbidden choices have no probability."""

    def __init__(self, logits: Tensor, mask: Tensor, branches: tuple[int, ...]) -> None:
        """logits: (n, K); mask: (n, K) bool, True = allowed; branches: their sizes."""
        self.probs = probabilities(masked(logits, mask), branches)

    def sample(self, generator: torch.Generator | None = None) -> Actions:
        first = self.probs[0]
        if not len(first):
            return self._actions(first.new_zeros((0, len(self.probs)), dtype=torch.int64))
        drawn = [torch.multinomial(probs.detach(), 1, generator=generator) for probs in self.probs]
        return self._actions(drawn[0] if len(drawn) == 1 else torch.cat(drawn, 1))

    def mode(self) -> Actions:
        return self._actions(torch.stack([probs.argmax(1) for probs in self.probs], 1))

    def log_prob(self, action: Actions) -> Tensor:
        return categorical_log_prob(self.probs, action.discrete)

    def entropy(self) -> Tensor:
        return categorical_entropy(self.probs)

    def kl(self, other: Distribution) -> Tensor:
        """KL(p || q) = sum p (log p - log q), summed over branches."""
        assert isinstance(other, Categorical)
        pairs = zip(self.probs, other.probs, strict=True)
        return torch.stack([(p * (torch.log(p + EPSILON) - torch.log(q + EPSILON))).sum(1) for p, q in pairs]).sum(0)

    def _actions(self, discrete: Tensor) -> Actions:
        return Actions(self.probs[0].new_zeros((len(discrete), 0)), discrete)


class EpsilonGreedy(Categorical):
    """The allowed choice of the largest value in each branch, or now and then, in all branches at once, random ones."""

    def __init__(self, values: Tensor, mask: Tensor, branches: tuple[int, ...], epsilon: float) -> None:
        """values: (n, K); epsilon: probability that an agent's choices are random."""
        self.values = values.masked_fill(~mask, -torch.inf)
        self.mask, self.branches, self.epsilon = mask, branches, epsilon

    @property
    def probs(self) -> list[Tensor]:  # type: ignore[override]
        """One (n, branch size) table of probabilities per branch."""
        columns = [torch.split_with_sizes(column, self.branches, 1) for column in (self.values, self.mask)]
        return [
            self.epsilon * allowed / allowed.sum(1, keepdim=True)
            + (1 - self.epsilon) * torch.nn.functional.one_hot(values.argmax(1), values.shape[1])
            for values, allowed in zip(*columns, strict=True)
        ]

    def sample(self, generator: torch.Generator | None = None) -> Actions:
        if self.epsilon == 0:
            return self.mode()
        explores = _uniform(self.values[:, :1], generator) < self.epsilon
        random = _uniform(self.values, generator).masked_fill(~self.mask, -torch.inf)
        return self._best(torch.where(explores, random, self.values))

    def mode(self) -> Actions:
        return self._best(self.values)

    def _best(self, values: Tensor) -> Actions:
        choice = torch.stack([branch.argmax(1) for branch in torch.split_with_sizes(values, self.branches, 1)], 1)
        return Actions(values[:, :0], choice)


class Hybrid(Distribution):
    """Continuous actions and choices that do not depend on each other."""

    def __init__(self, continuous: Distribution, discrete: Distribution) -> None:
        self.continuous, self.discrete = continuous, discrete

    def sample(self, generator: torch.Generator | None = None) -> Actions:
        return self._both(self.continuous.sample(generator), self.discrete.sample(generator))

    def mode(self) -> Actions:
        return self._both(self.continuous.mode(), self.discrete.mode())

    def log_prob(self, action: Actions) -> Tensor:
        return torch.cat([self.continuous.log_prob(action), self.discrete.log_prob(action)], 1)

    def entropy(self) -> Tensor:
        return self.continuous.entropy() + self.discrete.entropy()

    def evaluate(self, action: Actions) -> tuple[Tensor, Tensor]:
        log_prob, entropy = self.continuous.evaluate(action)
        return torch.cat([log_prob, self.discrete.log_prob(action)], 1), entropy + self.discrete.entropy()

    def kl(self, other: Distribution) -> Tensor:
        assert isinstance(other, Hybrid)
        return self.continuous.kl(other.continuous) + self.discrete.kl(other.discrete)

    def to_env(self, action: Actions) -> Actions:  # type: ignore[override]
        """Return what the environment gets: the continuous half as its distribution says."""
        return self.continuous.to_env(action)

    def from_env(self, action: Actions) -> Actions:  # type: ignore[override]
        """Return the inverse of `to_env`."""
        return self.continuous.from_env(action)

    @staticmethod
    def _both(one: Actions, other: Actions) -> Actions:
        return Actions(one.continuous, other.discrete)


def _noise(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return normal noise in the shape of a tensor; without a generator, in a form that can be traced."""
    return torch.randn_like(like) if generator is None else torch.empty_like(like).normal_(generator=generator)


def _uniform(like: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.rand_like(like) if generator is None else torch.empty_like(like).uniform_(generator=generator)


def log_slope(u: Tensor) -> Tensor:
    """log(1 - tanh(u)^2), finite everywhere."""
    return 2 * (math.log(2) - u - torch.nn.functional.softplus(-2 * u))


def gaussian_log_prob(mean: Tensor, sigma: Tensor, action: Tensor) -> Tensor:
    """(n, C) log density of each dimension; mean, action: (n, C), sigma: (n, C) or (1, C).

    log N(a; m, s) = -(a - m)^2 / (2 s^2) - log s - log(2 pi) / 2
    """
    off = action - mean
    return -(off * off) / (2 * sigma * sigma + EPSILON) - torch.log(sigma + EPSILON) - 0.5 * math.log(2 * math.pi)


def gaussian_entropy(sigma: Tensor) -> Tensor:
    """(n,) or (1,) entropy, averaged over dimensions: log(2 pi e s^2) / 2."""
    return 0.5 * torch.log(2 * math.pi * math.e * sigma * sigma + EPSILON).mean(1)


def gaussian(mean: Tensor, log_sigma: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
    """(n, C) log density of each dimension and (n,) or (1,) entropy; log_sigma: (n, C) or (1, C)."""
    shared = len(log_sigma) == 1 and not action.requires_grad
    if shared and mean.device.type == "cpu" and mean.dtype == torch.float32:
        return fast.gaussian(mean, log_sigma, action)
    sigma = log_sigma.exp()
    return gaussian_log_prob(mean, sigma, action), gaussian_entropy(sigma)


def masked(logits: Tensor, mask: Tensor) -> Tensor:
    """(n, K) logits with forbidden choices far below all others; mask: (n, K) bool, True = allowed."""
    return torch.where(mask, logits, -1e8)


def probabilities(logits: Tensor, branches: tuple[int, ...]) -> list[Tensor]:
    """One (n, branch size) table per branch, its rows summing to 1."""
    return [torch.softmax(branch, 1) for branch in torch.split_with_sizes(logits, branches, 1)]


def categorical_log_prob(probs: list[Tensor], choice: Tensor) -> Tensor:
    """(n, B) log probability of each branch's choice; choice: (n, B) int64."""
    taken = [branch.gather(1, choice[:, i : i + 1]) for i, branch in enumerate(probs)]
    return torch.log(torch.cat(taken, 1) + EPSILON)


def categorical_entropy(probs: list[Tensor]) -> Tensor:
    """(n,) entropy, summed over branches: -sum p log p."""
    each = [-(branch * torch.log(branch + EPSILON)).sum(1) for branch in probs]
    return each[0] if len(each) == 1 else torch.stack(each).sum(0)
