"""A reward signal that learns: the error of predicting random features of what is seen next. Burda et al. 2018, arXiv:1810.12894."""

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

import mlagents.api as ml


class NoveltySettings(ml.RewardSignalSettings):
    """Reward for what was seldom seen."""

    learning_rate: float = Field(1e-3, gt=0)
    """Size of a gradient step of the predictor."""
    features: ml.Int = Field(16, ge=1)
    """Random features that are predicted."""


class NoveltySignal(ml.RewardSignal):
    """The squared error of the predictor, which learns from the same rows."""

    signal_name = "novelty"
    Settings = NoveltySettings
    ignores_done = True

    def __init__(self, setup: ml.SignalSetup, settings: Any) -> None:
        super().__init__(setup, settings)
        sensors, network = setup.spec.observation_specs, settings.network_settings
        self.target, self.predictor = (ml.NetworkBody(sensors, network) for _ in range(2))
        self.target_head, self.predictor_head = (nn.Linear(body.width, settings.features) for body in (self.target, self.predictor))
        self.optimizer = self.make_optimizer([*self.predictor.parameters(), *self.predictor_head.parameters()])

    def error(self, input: ml.PolicyInput) -> Tensor:
        """Return the (n,) squared errors."""
        with torch.no_grad():
            target = self.target(input, self.target_head)
        return (self.predictor(input, self.predictor_head) - target).pow(2).mean(1)

    def evaluate(self, batch: ml.SignalBatch) -> Tensor:
        return self.error(batch.next_input)

    def update(self, batch: ml.SignalBatch) -> dict[str, float]:
        loss = self.error(batch.next_input).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"Losses/Novelty Loss": loss.item()}
