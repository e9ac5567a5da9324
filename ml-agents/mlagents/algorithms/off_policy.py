"""The template of trainers that learn from whatever was done before."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mlagents.algorithms.base import Metrics, State, TrainerSetup
from mlagents.algorithms.settings import OffPolicyHyperparamSettings
from mlagents.data.replay import ReplayBuffer, Transition
from mlagents.data.rollout import Tick
from mlagents.nn.policy import Actor


class OffPolicyTrainer:
    """Remember everything, and learn from random rows at a steady pace. Subclasses write `update`."""

    Settings: ClassVar[type[OffPolicyHyperparamSettings]] = OffPolicyHyperparamSettings

    def __init__(self, setup: TrainerSetup, settings: Any) -> None:
        self.settings = settings
        self.signals = setup.signals
        self.policy = Actor(setup.spec, setup.network)
        self.memory = ReplayBuffer(settings.buffer_size)
        self.updates = 0

    def update(self, batch: Transition) -> Metrics:
        """Descend once on random rows, and return what to record."""
        raise NotImplementedError(f"{type(self).__name__} has no update: an OffPolicyTrainer writes update(batch)")

    def modules(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """Return what a checkpoint holds, by name; a subclass adds its networks and optimizers."""
        return {"Policy": self.policy}

    def receive(self, tick: Tick) -> None:
        self.memory.append(tick)
        self.policy.observe(tick.rows.input.obs)

    def learn(self, step: int) -> Metrics | None:
        """Make one update per `steps_per_update` rows that came home after the first `buffer_init_steps`."""
        settings, metrics = self.settings, None
        enough = max(settings.buffer_init_steps, settings.batch_size)
        while self.memory.seen >= enough and self.updates * settings.steps_per_update < self.memory.seen - enough:
            metrics = self.update(self.memory.sample(settings.batch_size))
            self.updates += 1
        return metrics

    def close(self, lane: Tensor) -> None:
        """Nothing to do: each transition is whole."""

    def forget(self) -> None:
        """Nothing to do: transitions stay true whatever becomes of their episode."""

    def state_dict(self) -> State:
        state: State = {name: module.state_dict() for name, module in self.modules().items()}
        return {**state, "pace": {"updates": self.updates, "seen": self.memory.seen}}

    def load_state_dict(self, state: State) -> None:
        for name, module in self.modules().items():
            module.load_state_dict(state[name])
        # The replay buffer starts empty, so the pace starts anew as well: warm-up first, then updates.
