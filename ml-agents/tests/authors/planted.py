"""Trainers and a reward signal that make a NaN or an infinite number on purpose, where PLANT says.

PLANT is `kind:call call ...`, the calls at which it happens, or `kind:*` for all from the third on.
"""

import os
from typing import Any

import torch
from torch import Tensor, nn

import mlagents.api as ml

calls = 0


def due(kind: str) -> bool:
    """Is it this kind's turn?"""
    global calls
    wanted, _, when = os.environ.get("PLANT", "").partition(":")
    if kind != wanted:
        return False
    calls += 1
    return calls > 2 if when == "*" else str(calls) in when.split()


def planted(x: Tensor) -> Tensor:
    """Return 0, NaN, or 0 with an infinite gradient."""
    if due("loss"):
        return x * float("nan")
    return (x - x.detach()).sqrt() if due("gradient") else x * 0


class Ruining(torch.optim.Adam):
    """Writes infinity into a weight after a step."""

    def step(self, closure: Any = None) -> None:
        super().step(closure)
        if due("weight"):
            self.param_groups[0]["params"][-1].data.view(-1)[0] = float("inf")


class PlantedOnPolicy(ml.OnPolicyTrainer):
    """A policy gradient."""

    def loss(self, batch: ml.Batch) -> dict[str, Tensor]:
        log_prob, _ = self.evaluate(batch)
        value = self.values(batch)
        return {
            "policy": -(log_prob.sum(1) * batch.advantage).mean(),
            "value": (batch.returns - value).pow(2).mean(),
            "strange": planted(value.mean()),
        }

    def make_optimizer(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        return Ruining(parameters, lr=self.settings.learning_rate)


class PlantedOffPolicy(ml.OffPolicyTrainer):
    """A policy drawn to what was rewarded."""

    def __init__(self, setup: ml.TrainerSetup, settings: Any) -> None:
        super().__init__(setup, settings)
        self.optimizer = self.make_optimizer(list(self.policy.parameters()))

    def update(self, batch: ml.Transition) -> dict[str, float]:
        log_prob, _ = self.policy.evaluate(batch.input, batch.action)
        loss = -(log_prob.sum(1) * batch.returns.sum(1)).mean()
        self.take_step(self.optimizer, loss + planted(log_prob.mean()))
        return {"Losses/Policy Loss": loss.item()}

    def make_optimizer(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        return Ruining(parameters, lr=self.settings.learning_rate)


class PlantedSignal(ml.RewardSignal):
    """How well a network foretells that there is nothing to foretell."""

    signal_name = "planted"

    def __init__(self, setup: ml.SignalSetup, settings: Any) -> None:
        super().__init__(setup, settings)
        self.network = nn.Linear(1, 1)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-3)

    def evaluate(self, batch: ml.SignalBatch) -> Tensor:
        reward = torch.zeros(len(batch))
        reward[-1] = float("nan") if due("signal") else 0.0
        return reward

    def update(self, batch: ml.SignalBatch) -> dict[str, float]:
        loss = self.network(batch.rows.reward[:, None]).pow(2).mean()
        self.descend(self.optimizer, loss * float("nan") if due("signal loss") else loss)
        return {"Losses/Planted Loss": loss.item()}

