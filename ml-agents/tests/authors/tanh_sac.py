"""Soft actor-critic for continuous actions: tanh policy, twin critics, a temperature.

Haarnoja et al. 2018, arXiv:1812.05905.
"""

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

import mlagents.api as ml


class TanhSACSettings(ml.OffPolicyHyperparamSettings):
    """Soft actor-critic."""

    tau: float = Field(0.005, gt=0, le=1)
    """Share of the way that the target critics go at each update."""
    init_entcoef: float = Field(0.5, gt=0)
    """Temperature at the start."""


class TanhActor(ml.Actor):
    """A Gaussian behind a tanh, whose deviation depends on the state."""

    def __init__(self, setup: ml.TrainerSetup) -> None:
        super().__init__(setup.spec, setup.network)
        self.log_sigma = None  # the head has it
        self.head = ml.linear(self.body.width, 2 * self.continuous, 0.1)

    def from_output(self, output: Tensor, mask: Tensor) -> ml.SquashedGaussian:
        mean, log_sigma = output.chunk(2, 1)
        return ml.SquashedGaussian(mean, log_sigma.clamp(-10, 2))


class TanhSACTrainer(ml.OffPolicyTrainer):
    """Maximize reward and entropy; the temperature keeps the entropy at -dim(A)."""

    trainer_type = "tanh-sac"
    Settings = TanhSACSettings
    capabilities = ml.Capabilities(discrete=False, hybrid=False, several_signals=False)
    policy: TanhActor

    def __init__(self, setup: ml.TrainerSetup, settings: Any) -> None:
        super().__init__(setup, settings)
        self.critic = ml.ActionCritic(setup, beside=self.policy.body, twins=2)
        self.target = self.make_target(self.critic)
        self.log_temperature = nn.Parameter(torch.tensor(float(settings.init_entcoef)).log())
        self.actor_optimizer = self.make_optimizer(list(self.policy.parameters()))
        self.critic_optimizer = self.make_optimizer(list(self.critic.parameters()))
        self.temperature_optimizer = self.make_optimizer([self.log_temperature])

    def make_policy(self, setup: ml.TrainerSetup) -> TanhActor:
        return TanhActor(setup)

    def update(self, batch: ml.Transition) -> ml.Metrics:
        temperature = self.log_temperature.exp().detach()
        with torch.no_grad():  # Q(s, a) -> r + gamma (min Q'(s', a') - temperature log pi(a' | s'))
            action, log_prob = self.sample(batch.next_input)
            value = self.target(batch.next_input, action).amin(0) - temperature * log_prob
            td_target = batch.returns + batch.discount * value
        q_values = self.critic(batch.input, batch.action)
        value_loss = (q_values - td_target).pow(2).mean()
        self.take_step(self.critic_optimizer, value_loss)
        action, log_prob = self.sample(batch.input)
        policy_loss = (temperature * log_prob - self.critic(batch.input, action).amin(0)).mean()
        self.take_step(self.actor_optimizer, policy_loss)
        off = (log_prob.detach() - self.policy.continuous).mean()  # the entropy is to be -dim(A)
        self.take_step(self.temperature_optimizer, -self.log_temperature * off)
        self.soft_update(self.target, self.critic, tau=self.settings.tau)
        self.record("Policy/Entropy Coeff", temperature)
        return {"Losses/Policy Loss": policy_loss.item(), "Losses/Value Loss": value_loss.item()}

    def sample(self, input: ml.PolicyInput) -> tuple[ml.Actions, Tensor]:
        """Return actions that gradients flow through, and their (n, 1) log probabilities."""
        distribution = self.policy.distribution(input)
        action = distribution.rsample(self.generator)
        return action, distribution.log_prob(action).sum(1, keepdim=True)
