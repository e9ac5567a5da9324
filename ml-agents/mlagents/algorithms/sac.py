"""SAC: soft actor-critic. Haarnoja et al. 2018, arXiv:1812.05905; with choices: Christodoulou 2019, arXiv:1910.07207.

n rows, S reward signals, C continuous actions, B branches, K the sum of their sizes.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from mlagents.algorithms.capabilities import Capabilities
from mlagents.algorithms.off_policy import OffPolicyTrainer
from mlagents.algorithms.settings import SACSettings
from mlagents.algorithms.trainer import Metrics, TrainerSetup, title
from mlagents.data.experience import PolicyInput
from mlagents.data.replay import Transition
from mlagents.nn.body import NetworkBody
from mlagents.nn.distributions import EPSILON, Categorical, Distribution, Hybrid
from mlagents.nn.policy import SquashedActor
from mlagents.nn.values import Critic, critic_body, value_head

DISCRETE_TARGET = 0.2  # share of a branch's largest entropy that is aimed at


class QNetwork(nn.Module):
    """Q(s, a): continuous actions are an input; of choices, every one's value is an output."""

    def __init__(self, setup: TrainerSetup, beside: NetworkBody) -> None:
        super().__init__()
        actions = setup.spec.action_spec
        self.signals, self.choices = len(setup.signals), sum(actions.discrete_branches)
        self.body = critic_body(setup.spec.observation_specs, setup.network, beside, extra=actions.continuous_size)
        self.head = value_head(self.body.width, self.signals * max(self.choices, 1))

    def forward(self, input: PolicyInput, continuous: Tensor) -> Tensor:
        """Return (n, S, K) values of every choice, or (n, S, 1) where there are none."""
        output: Tensor = self.body(input, self.head, continuous if self.body.extra else None)
        return output.view(len(output), self.signals, -1)


class Sample(NamedTuple):
    """What the policy would do now; C and B may be 0."""

    continuous: Tensor  # (n, C), with gradients to the policy
    log_prob: Tensor  # (n,) of the continuous actions, 0 without any
    probs: list[Tensor]  # one (n, branch size) per branch
    negative_entropy: Tensor  # (n, B) sum_a p log p of each branch


class SACTrainer(OffPolicyTrainer):
    """Twin critics, a value network with its target, and a temperature for continuous actions and for each branch."""

    Settings: ClassVar[type[SACSettings]] = SACSettings
    capabilities: ClassVar[Capabilities] = Capabilities(demonstrations=True)
    policy: SquashedActor

    def __init__(self, setup: TrainerSetup, settings: Any) -> None:
        super().__init__(setup, settings)
        body, branches = self.policy.body, self.policy.branches
        self.q1 = QNetwork(setup, body)
        self.q2 = QNetwork(setup, self.q1.body)  # what critics alone see, they normalize together
        names = [signal.name for signal in self.signals]
        self.value = Critic(setup.spec, setup.network, names, beside=self.q1.body)
        self.target = self.make_target(self.value)
        start = math.log(max(settings.init_entcoef, EPSILON))
        self.log_temperature = nn.Parameter(torch.full((1 + len(branches),), start, device=self.device))
        targets = [-float(self.policy.continuous), *(DISCRETE_TARGET * math.log(size) for size in branches)]
        self._entropy_target = torch.tensor(targets, device=self.device)  # (1 + B)
        critics = [*self.q1.parameters(), *self.q2.parameters(), *self.value.parameters()]
        self.policy_optimizer = self.make_optimizer(list(self.policy.parameters()))
        self.value_optimizer = self.make_optimizer(list(dict.fromkeys(critics)))
        self.entropy_optimizer = self.make_optimizer([self.log_temperature])

    def make_policy(self, setup: TrainerSetup) -> SquashedActor:
        return SquashedActor(setup.spec, setup.network)

    def update(self, batch: Transition) -> Metrics:
        temperature = self.log_temperature.detach().exp()
        sample = self.sample(batch.input)
        q1, q2 = (q(batch.input, sample.continuous) for q in (self.q1, self.q2))
        policy_loss = self.policy_loss(sample, q1, temperature)
        q_losses, value_loss, value = self.value_losses(batch, sample, (q1.detach(), q2.detach()), temperature)
        entropy_loss = self.entropy_loss(sample)
        self.take_step(self.policy_optimizer, policy_loss)
        self.take_step(self.value_optimizer, q_losses[0] + q_losses[1] + value_loss)
        self.take_step(self.entropy_optimizer, entropy_loss)
        self.soft_update(self.target, self.value, tau=self.settings.tau)
        means = value.mean(0).tolist()
        metrics = {f"Policy/{title(s.name)} Value": mean for s, mean in zip(self.signals, means, strict=True)}
        if self.policy.continuous:
            metrics["Policy/Continuous Entropy Coeff"] = temperature[0].item()
        if self.policy.branches:
            metrics["Policy/Discrete Entropy Coeff"] = temperature[1:].mean().item()
        return {
            "Losses/Policy Loss": policy_loss.item(),
            "Losses/Value Loss": value_loss.item(),
            "Losses/Q1 Loss": q_losses[0].item(),
            "Losses/Q2 Loss": q_losses[1].item(),
            **metrics,
        }

    def sample(self, input: PolicyInput) -> Sample:
        """Return what the policy does in these states now, with gradients."""
        distribution = self.policy.distribution(input)
        parts: list[Distribution] = [distribution]
        if isinstance(distribution, Hybrid):
            parts = [distribution.continuous, distribution.discrete]
        n, like = len(input.mask), self.log_temperature
        continuous, log_prob = like.new_zeros((n, 0)), like.new_zeros(n)
        probs: list[Tensor] = []
        negative_entropy = like.new_zeros((n, 0))
        for part in parts:
            if isinstance(part, Categorical):
                probs = part.probs
                negative_entropy = torch.stack([(p * torch.log(p + EPSILON)).sum(1) for p in probs], 1)
            else:
                action = part.rsample(self.generator)
                continuous, log_prob = action.continuous, part.log_prob(action).sum(1)
        return Sample(continuous, log_prob, probs, negative_entropy)

    def policy_loss(self, sample: Sample, q1: Tensor, temperature: Tensor) -> Tensor:
        """Return the mean of sum_i sum_a (alpha_i p log p - p Q) + alpha_c log pi, Q averaged over signals.

        Without branches, the mean of alpha_c log pi - Q. q1: (n, S, K or 1), with gradients to the actions.
        """
        q = q1.mean(1)
        loss = temperature[0] * sample.log_prob
        if not sample.probs:
            return (loss - q[:, 0]).mean()
        expected = (torch.cat(sample.probs, 1) * q).sum(1)  # through the continuous actions too, so Q counts once
        return (loss + (temperature[1:] * sample.negative_entropy).sum(1) - expected).mean()

    def value_losses(
        self, batch: Transition, sample: Sample, now: tuple[Tensor, Tensor], temperature: Tensor
    ) -> tuple[list[Tensor], Tensor, Tensor]:
        """Return the losses of both Q networks and of the value network, and the (n, S) values.

        now: (n, S, K or 1) of each Q network, at the sampled actions.

        L_Q = 1/2 mean (r + gamma V'(s') - Q(s, a))^2
        L_V = 1/2 mean (V(s) - (min_j E_pi Q_j(s, .) - sum of alpha log pi))^2
        """
        with torch.no_grad():
            td_target = batch.returns + batch.discount * self.target(batch.next_input)  # (n, S)
            soft = torch.minimum(*(self._expected(q, sample) for q in now))
            entropy = temperature[0] * sample.log_prob
            if sample.probs:
                entropy = entropy + (temperature[1:] * sample.negative_entropy).mean(1)
            soft = soft - entropy[:, None]
        taken = [self._taken(q(batch.input, batch.action.continuous), batch) for q in (self.q1, self.q2)]
        value: Tensor = self.value(batch.input)
        return [0.5 * (td_target - q).pow(2).mean() for q in taken], 0.5 * (value - soft).pow(2).mean(), value.detach()

    def entropy_loss(self, sample: Sample) -> Tensor:
        """Return -mean alpha_c (log pi + H_c) - mean over branches of alpha_i (sum_a p log p + H_i)."""
        temperature = self.log_temperature.exp()
        loss = temperature.new_zeros(())
        if self.policy.continuous:
            loss = loss - (temperature[0] * (sample.log_prob.detach() + self._entropy_target[0])).mean()
        if self.policy.branches:
            off = sample.negative_entropy.detach() + self._entropy_target[1:]
            loss = loss - (temperature[1:] * off).mean()
        return loss

    def _expected(self, q: Tensor, sample: Sample) -> Tensor:
        """Return (n, S) values of what the policy does: the mean over branches of sum_a p Q."""
        if not sample.probs:
            return q[:, :, 0]
        parts = torch.split_with_sizes(q, self.policy.branches, 2)
        each = [(p[:, None] * part).sum(2) for p, part in zip(sample.probs, parts, strict=True)]
        return torch.stack(each).mean(0)

    def _taken(self, q: Tensor, batch: Transition) -> Tensor:
        """Return (n, S) values of the actions of the batch: the mean over branches of the choices taken."""
        if not self.policy.branches:
            return q[:, :, 0]
        parts = torch.split_with_sizes(q, self.policy.branches, 2)
        choice = batch.action.discrete[:, None].expand(-1, q.shape[1], -1)  # (n, S, B)
        return torch.cat([part.gather(2, choice[:, :, i, None]) for i, part in enumerate(parts)], 2).mean(2)
