"""Random network distillation: reward for what was seldom seen. Burda et al. 2018, arXiv:1810.12894."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mlagents.data.experience import PolicyInput
from mlagents.nn.body import NetworkBody
from mlagents.rewards.settings import RNDSettings
from mlagents.rewards.signal import RewardSignal, SignalBatch, SignalSetup


class RND(RewardSignal):
    """The error of a predictor that learns what a random network makes of the next observation."""

    Settings = RNDSettings
    ignores_done = True

    def __init__(self, setup: SignalSetup, settings: Any) -> None:
        super().__init__(setup, settings)
        sensors, network = setup.spec.observation_specs, settings.network_settings
        self.target = NetworkBody(sensors, network)
        self.target.requires_grad_(False)
        self.predictor = NetworkBody(sensors, network, self.target.normalizer)  # both see the same rows
        self.optimizer = self.make_optimizer(list(self.predictor.parameters()))

    def error(self, input: PolicyInput) -> Tensor:
        """Return (n,) squared errors, r = |f'(o') - f(o')|^2 with the predictor f'.  Section 2.2 of the paper."""
        with torch.no_grad():
            target, _ = self.target.features(input)
        predicted, _ = self.predictor.features(input)
        return (predicted - target).pow(2).sum(1)

    def evaluate(self, batch: SignalBatch) -> Tensor:
        return self.error(batch.next_input)

    def update(self, batch: SignalBatch) -> dict[str, float]:
        self.target.observe(batch.next_input.obs)
        loss = self.error(batch.next_input).mean()
        self.descend(self.optimizer, loss)
        return {"Losses/RND Loss": loss.item()}
