"""Trainers and a signal of which a loss is NaN where a row earned more than a half: the same rows give it again."""

from typing import Any

import torch
from torch import Tensor

import mlagents.api as ml

HALF = 0.5


def log_of_rest(reward: Tensor) -> Tensor:
    """Return the mean logarithm of what is left to a half; NaN beyond."""
    return torch.log(HALF - reward).mean()


class FragileOnPolicy(ml.OnPolicyTrainer):
    """A policy gradient with a term that is NaN."""

    def loss(self, batch: ml.Batch) -> dict[str, Tensor]:
        log_prob, _ = self.evaluate(batch)
        value = (batch.returns - self.values(batch)).pow(2).mean()
        strange = log_of_rest(batch.rows.reward)
        return {"policy": -(log_prob.sum(1) * batch.advantage).mean(), "value": value, "strange": strange}


class FragileOffPolicy(ml.OffPolicyTrainer):
    """A policy drawn to what was rewarded, with a loss that is NaN."""

    def __init__(self, setup: ml.TrainerSetup, settings: Any) -> None:
        super().__init__(setup, settings)
        self.optimizer = self.make_optimizer(list(self.policy.parameters()))

    def update(self, batch: ml.Transition) -> dict[str, float]:
        log_prob, _ = self.policy.evaluate(batch.input, batch.action)
        self.take_step(self.optimizer, -log_prob.sum(1).mean() + log_of_rest(batch.rows.reward))
        return {"Losses/Policy Loss": 0.0}


class FragileSignal(ml.RewardSignal):
    """A logarithm of the environment's reward."""

    signal_name = "fragile"

    def evaluate(self, batch: ml.SignalBatch) -> Tensor:
        return torch.log(HALF - batch.rows.reward)
