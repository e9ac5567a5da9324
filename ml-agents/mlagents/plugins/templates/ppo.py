"""the-name: PPO with one more term in its loss, a price for leaving the policy that acted."""

from pydantic import Field
from torch import Tensor

from mlagents.api import Batch, PPOSettings, PPOTrainer


class TheNameSettings(PPOSettings):
    """What `hyperparameters` in the YAML may say, beside all that PPO takes."""

    drift: float = Field(0.1, ge=0)
    """Weight of the distance between the policy and the one that acted; 0 is PPO as it was."""


class TheNameTrainer(PPOTrainer):
    """PPO whose steps are not only clipped but also held back."""

    trainer_type = "the-name"  # as the YAML says it
    Settings = TheNameSettings

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Return PPO's terms and one more; each is a curve of its own in TensorBoard."""
        terms = super().loss(batch)
        if self.settings.drift == 0:
            return terms
        log_prob, _ = self.evaluate(batch)
        change = (log_prob - batch.log_prob).sum(1)
        # The KL divergence from rows that the old policy drew: never below 0, unlike the mean of -change.
        return {**terms, "drift": self.settings.drift * (change.exp() - 1 - change).mean()}
