"""What acts: from observations to actions."""

from __future__ import annotations

from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn

from mlagents.data.experience import Actions, PolicyInput, PolicyOutput
from mlagents.nn import distributions
from mlagents.nn.body import NetworkBody
from mlagents.nn.layers import UnsupportedNetwork, linear
from mlagents.nn.settings import NetworkSettings
from mlagents_envs.base_env import BehaviorSpec

ACTION_CLIP = 3.0  # a sample beyond this is cut before the world sees it, and the rest is scaled to [-1, 1]


class Policy(Protocol):
    """Answers agents. No state: memory goes in and comes out."""

    def act(self, input: PolicyInput, *, explore: bool = True) -> PolicyOutput:
        """Return actions as sampled, or the most probable ones."""

    def evaluate(self, input: PolicyInput, action: Actions) -> tuple[Tensor, Tensor]:
        """Return the (n, C + B) log probabilities of `action` and the (n,) entropy."""

    def env_action(self, action: Actions) -> Actions:
        """Return what the world is told of sampled actions."""

    def from_env_action(self, told: Actions) -> Actions:
        """Return the sampled actions of which the world would be told this: the inverse of `env_action`."""


class Actor(nn.Module):
    """A policy with a Gaussian for continuous actions and one categorical per discrete branch.

    One head says both: the means first, then the logits of each branch.
    """

    samples: ClassVar[bool] = True
    """Are discrete choices drawn, with the head's numbers as logits? One whose head says values takes the best."""

    def __init__(self, spec: BehaviorSpec, settings: NetworkSettings) -> None:
        super().__init__()
        if settings.memory is not None:
            raise UnsupportedNetwork("network_settings.memory: recurrent networks cannot be built yet")
        self.spec = spec
        self.continuous = spec.action_spec.continuous_size
        self.branches = tuple(spec.action_spec.discrete_branches)
        if not self.continuous and not self.branches:
            raise UnsupportedNetwork("the behavior takes no actions: there is nothing to learn")
        self.deterministic = settings.deterministic
        self.body = NetworkBody(spec.observation_specs, settings)
        self.head = self._make_head(settings.hidden_units)
        self.log_sigma = nn.Parameter(torch.zeros(1, self.continuous))

    def _make_head(self, hidden: int) -> nn.Linear:
        head = linear(hidden, self.continuous + sum(self.branches), 0.1)
        with torch.no_grad():
            head.weight[: self.continuous] *= 2  # means begin twice as wide as logits, as in Unity's trainers
        return head

    @torch.no_grad()
    def act(self, input: PolicyInput, *, explore: bool = True) -> PolicyOutput:
        """Return actions; without `explore`, or where the settings say so, the most probable ones."""
        explore = explore and not self.deterministic
        mean, probs = self._distribution(input)
        continuous = mean
        if explore and self.continuous:
            continuous = torch.addcmul(mean, self.log_sigma.exp(), torch.randn_like(mean))
        discrete = self._choose(probs, explore, len(mean))
        action = Actions(continuous, discrete)
        log_prob, entropy = self._judge(mean, probs, action)
        return PolicyOutput(action, log_prob, entropy, input.memory)

    def evaluate(self, input: PolicyInput, action: Actions) -> tuple[Tensor, Tensor]:
        return self._judge(*self._distribution(input), action)

    def env_action(self, action: Actions) -> Actions:
        return Actions(action.continuous.clamp(-ACTION_CLIP, ACTION_CLIP) / ACTION_CLIP, action.discrete)

    def from_env_action(self, told: Actions) -> Actions:
        return Actions(told.continuous * ACTION_CLIP, told.discrete)

    def observe(self, obs: tuple[Tensor, ...]) -> None:
        """Let the normalizer see more rows."""
        self.body.observe(obs)

    def _distribution(self, input: PolicyInput) -> tuple[Tensor, list[Tensor]]:
        """Return the means (n, C), and one table of probabilities per branch."""
        said = self.body(input.obs, self.head)
        if not self.branches:
            return said, []
        logits = distributions.masked(said[:, self.continuous :], input.mask)
        return said[:, : self.continuous], distributions.probabilities(logits, self.branches)

    def _choose(self, probs: list[Tensor], explore: bool, n: int) -> Tensor:
        """Return (n, B) choices."""
        if not probs:
            return torch.zeros(n, 0, dtype=torch.int64)
        if not explore:
            return torch.stack([chance.argmax(1) for chance in probs], 1)
        if not n:
            return torch.zeros(0, len(probs), dtype=torch.int64)
        return torch.cat([torch.multinomial(chance, 1) for chance in probs], 1)

    def _judge(self, mean: Tensor, probs: list[Tensor], action: Actions) -> tuple[Tensor, Tensor]:
        """Return the (n, C + B) log probabilities of `action` and the (n,) entropy."""
        if not self.continuous:
            entropy = distributions.categorical_entropy(probs)
            return distributions.categorical_log_prob(probs, action.discrete), entropy
        log_prob, entropy = distributions.gaussian(mean, self.log_sigma, action.continuous)
        if not probs:
            return log_prob, entropy.expand(len(mean))
        discrete = distributions.categorical_log_prob(probs, action.discrete)
        return torch.cat([log_prob, discrete], 1), entropy + distributions.categorical_entropy(probs)
