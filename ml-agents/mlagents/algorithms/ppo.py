"""PPO: proximal policy optimization. Schulman et al. 2017, arXiv:1707.06347."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from mlagents.algorithms import fast_ppo
from mlagents.algorithms.objectives import clipped_surrogate
from mlagents.algorithms.on_policy import Batch, OnPolicyTrainer
from mlagents.algorithms.schedules import Schedule
from mlagents.algorithms.settings import PPOSettings
from mlagents.algorithms.trainer import Metrics, TrainerSetup
from mlagents.nn.values import Critic


class PPOTrainer(OnPolicyTrainer):
    """Ratios clipped per action dimension, a plain squared value error, and an entropy bonus."""

    Settings: ClassVar[type[PPOSettings]] = PPOSettings
    VALUE_WEIGHT = 0.5  # of the value loss beside the policy's, as in Unity's trainers

    def make_critic(self, setup: TrainerSetup) -> Critic:
        names, shares = [signal.name for signal in setup.signals], self.settings.shared_critic
        return Critic(setup.spec, setup.network, names, beside=self.policy.body, shares_body=shares)

    def make_schedules(self, max_steps: int) -> dict[str, Schedule]:
        settings = self.settings
        return {
            **super().make_schedules(max_steps),
            "epsilon": Schedule(settings.epsilon, 0.1, max_steps, settings.epsilon_schedule == "linear"),
            "beta": Schedule(settings.beta, 1e-5, max_steps, settings.beta_schedule == "linear"),
        }

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        log_prob, entropy = self.policy.evaluate(batch.rows.input, batch.rows.output.action)
        value = self.critic(batch.rows.input.obs)
        old = batch.rows.output.log_prob
        return {
            "policy": clipped_surrogate(log_prob, old, batch.advantage, self.now["epsilon"]),
            "value": self.VALUE_WEIGHT * (batch.returns - value).pow(2).mean(),
            "entropy": -self.now["beta"] * entropy.mean(),
        }

    def descend(self, batch: Batch) -> dict[str, float]:
        standard = type(self).loss is PPOTrainer.loss  # a subclass with terms of its own needs autograd
        return fast_ppo.descend(self, batch) if standard and fast_ppo.applies(self) else super().descend(batch)

    def report(self, losses: Metrics) -> dict[str, float]:
        named = super().report({name: value for name, value in losses.items() if name != "entropy"})
        named["Losses/Policy Loss"] = abs(losses["policy"])
        named["Losses/Value Loss"] = losses["value"] / self.VALUE_WEIGHT
        return named
