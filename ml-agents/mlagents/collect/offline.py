"""A behavior that is learned from demonstrations alone: no agent acts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor

from mlagents.algorithms.trainer import Metrics, Trainer
from mlagents.collect.behavior import Behavior, Imitation


class OfflineTrainer(Trainer, Protocol):
    """What a `trainer_type` names that learns from demonstrations alone; each `learn` is a gradient step."""

    learned_rows: int
    """Demonstrated rows of the newest gradient step."""

    @property
    def converged(self) -> bool:
        """Is there nothing more to learn, whatever its steps?"""

    @property
    def imitation(self) -> Imitation | None:
        """How well it fits the demonstrations; None before the first epoch has ended."""

    def begin_with(self, policy: Mapping[str, Tensor]) -> None:
        """Begin with the weights of another policy; raises KeyError or RuntimeError where it is another network."""


class OfflineBehavior(Behavior):
    """A trainer of demonstrations alone; its step counter counts the rows that its gradients saw."""

    trainer: OfflineTrainer

    def __init__(self, trainer: OfflineTrainer) -> None:
        super().__init__(trainer, time_horizon=1)

    def learn(self) -> Metrics | None:
        """Take a gradient step, and return what to record."""
        metrics = super().learn()
        self.step += self.trainer.learned_rows
        return metrics

    @property
    def converged(self) -> bool:
        return self.trainer.converged

    @property
    def imitation(self) -> Imitation | None:
        return self.trainer.imitation

    def load_state_dict(self, state: dict[str, Any], *, keep_step: bool) -> None:
        """Go on where a state stands with `keep_step`; else begin with the weights of its policy, of any trainer."""
        if keep_step:
            super().load_state_dict(state, keep_step=True)
        else:
            self.trainer.begin_with(state["Policy"])
