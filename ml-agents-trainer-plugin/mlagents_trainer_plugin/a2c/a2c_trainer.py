"""A2C: one step of the plain policy gradient for each rollout. Mnih et al. 2016, arXiv:1602.01783."""

from typing import Literal

from pydantic import Field
from torch import Tensor

from mlagents.api import Batch, OnPolicyHyperparamSettings, OnPolicyTrainer


class A2CSettings(OnPolicyHyperparamSettings):
    """A2C."""

    num_epoch: Literal[1] = 1
    """A2C walks each rollout once."""
    beta: float = Field(5e-3, ge=0)
    """Weight of the entropy bonus."""


class A2CTrainer(OnPolicyTrainer):
    """The policy's own gradient, a squared value error, and an entropy bonus."""

    Settings = A2CSettings

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        log_prob, entropy = self.evaluate(batch)
        return {
            "policy": -(log_prob.sum(1) * batch.advantage).mean(),
            "value": 0.5 * (batch.returns - self.values(batch)).pow(2).mean(),
            "entropy": -self.settings.beta * entropy.mean(),
        }
