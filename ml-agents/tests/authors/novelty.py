"""A reward signal that learns: how badly random features of what is seen next are predicted.

Burda et al. 2018, arXiv:1810.12894.
"""

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


class Features(nn.Module):
    """A body and a linear head."""

    def __init__(self, setup: ml.SignalSetup, settings: NoveltySettings) -> None:
        super().__init__()
        self.body = ml.NetworkBody(setup.spec.observation_specs, settings.network_settings)
        self.head = nn.Linear(self.body.width, settings.features)

    def forward(self, input: ml.PolicyInput) -> Tensor:
        return self.body(input, self.head)


class NoveltySignal(ml.RewardSignal):
    """The squared error of the predictor, which learns from the same rows."""

    signal_name = "novelty"
    Settings = NoveltySettings
    ignores_done = True

    def __init__(self, setup: ml.SignalSetup, settings: Any) -> None:
        super().__init__(setup, settings)
        self.target, self.predictor = Features(setup, settings), Features(setup, settings)
        self.optimizer = self.make_optimizer(list(self.predictor.parameters()))

    def evaluate(self, batch: ml.SignalBatch) -> Tensor:
        with torch.no_grad():
            target = self.target(batch.next_input)
        return (self.predictor(batch.next_input) - target).pow(2).mean(1)

    def update(self, batch: ml.SignalBatch) -> dict[str, float]:
        loss = self.evaluate(batch).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"Losses/Novelty Loss": loss.item()}
