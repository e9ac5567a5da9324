"""the-name: an actor-critic that takes one step of the plain policy gradient for each rollout.

Rollouts, advantages, the optimizer, checkpoints and the exported model come from `OnPolicyTrainer`; `loss` is yours.
"""

from typing import Literal

from pydantic import Field
from torch import Tensor

from mlagents.api import Batch, Capabilities, OnPolicyHyperparamSettings, OnPolicyTrainer


class TheNameSettings(OnPolicyHyperparamSettings):
    """What `hyperparameters` in the YAML may say, beside what every on-policy trainer takes."""

    num_epoch: Literal[1] = 1
    """Each rollout is walked once: after a step, its actions are no longer those that the policy would take."""
    value_weight: float = Field(0.5, ge=0)
    """Weight of the critic's loss beside the policy's."""
    beta: float = Field(0.01, ge=0)
    """Weight of the entropy bonus, which keeps the policy from being sure too early."""


class TheNameTrainer(OnPolicyTrainer):
    """Do more of what went better than the critic expected, and less of what went worse."""

    trainer_type = "the-name"  # as the YAML says it
    Settings = TheNameSettings
    capabilities = Capabilities()  # any actions, several reward signals; what asks for more is refused

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Return the terms whose sum is descended; each is a curve of its own in TensorBoard."""
        log_prob, entropy = self.evaluate(batch)  # (n, actions) and (n,)
        value = self.values(batch)  # (n, signals), as batch.returns
        return {
            "policy": -(log_prob.sum(1) * batch.advantage).mean(),  # the parts of an action were chosen together
            "value": self.settings.value_weight * (batch.returns - value).pow(2).mean(),
            "entropy": -self.settings.beta * entropy.mean(),
        }
