"""PPO: proximal policy optimization. Schulman et al. 2017, arXiv:1707.06347."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from mlagents.algorithms import fast_ppo
from mlagents.algorithms.objectives import clipped_surrogate
from mlagents.algorithms.on_policy import Batch, OnPolicyTrainer
from mlagents.algorithms.schedules import AnySchedule, clip_schedules
from mlagents.algorithms.settings import PPOSettings
from mlagents.algorithms.trainer import Metrics, TrainerSetup
from mlagents.nn.body import NetworkBody
from mlagents.nn.layers import UnsupportedNetwork
from mlagents.nn.values import Critic


class PPOTrainer(OnPolicyTrainer):
    """Ratios clipped per action dimension, a plain squared value error, and an entropy bonus."""

    Settings: ClassVar[type[PPOSettings]] = PPOSettings
    VALUE_WEIGHT = 0.5  # of the value loss beside the policy's, as in Unity's trainers

    def make_critic(self, setup: TrainerSetup) -> nn.Module:
        if not self.settings.shared_critic:
            return super().make_critic(setup)
        names, body = [signal.name for signal in self.signals], getattr(self.policy, "body", None)
        if not isinstance(body, NetworkBody):
            raise UnsupportedNetwork("hyperparameters.shared_critic: this policy has no body to share; set it to false")
        return Critic(setup.spec, setup.network, names, beside=body, shares_body=True)

    def make_schedules(self, max_steps: int) -> dict[str, AnySchedule]:
        return {**super().make_schedules(max_steps), **clip_schedules(self.settings, max_steps)}

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        log_prob, entropy = self.evaluate(batch)
        return {
            "policy": clipped_surrogate(log_prob, batch.log_prob, batch.advantage, self.now["epsilon"]),
            "value": self.VALUE_WEIGHT * (batch.returns - self.values(batch)).pow(2).mean(),
            "entropy": -self.now["beta"] * entropy.mean(),
        }

    def descend(self, batch: Batch) -> dict[str, float]:
        own = [getattr(type(self), hook) is not getattr(PPOTrainer, hook) for hook in fast_ppo.REPLACES]
        if any(own) or not fast_ppo.applies(self):
            return super().descend(batch)
        return fast_ppo.descend(self, batch, value_weight=self.VALUE_WEIGHT)

    def report(self, losses: Metrics) -> dict[str, float]:
        named = super().report({name: value for name, value in losses.items() if name != "entropy"})
        named["Losses/Policy Loss"] = abs(losses["policy"])
        named["Losses/Value Loss"] = losses["value"] / self.VALUE_WEIGHT
        return named
