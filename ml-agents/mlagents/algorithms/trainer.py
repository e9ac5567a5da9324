"""What a trainer is, and what every one is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from mlagents.algorithms.capabilities import Capabilities
from mlagents.algorithms.modules import title
from mlagents.algorithms.settings import BehavioralCloningSettings, HyperparamSettings
from mlagents.data.rollout import Tick
from mlagents.demonstrations.settings import DemonstrationSettings
from mlagents.nn.policy import Policy
from mlagents.nn.sensors import critic_only
from mlagents.nn.settings import NetworkSettings
from mlagents.rewards.signal import RewardSignal
from mlagents_envs.base_env import BehaviorSpec

Metrics = Mapping[str, Any]  # a number, or an array of numbers to be averaged
State = dict[str, Any]
CPU = torch.device("cpu")

__all__ = ["CPU", "Metrics", "State", "Trainer", "TrainerSetup", "title"]


class Trainer(Protocol):
    """What `trainer_type` names."""

    Settings: ClassVar[type[HyperparamSettings]]
    """What the YAML's `hyperparameters` may say."""
    capabilities: ClassVar[Capabilities]
    """What it can learn."""
    policy: Policy
    """What acts, and what is exported."""
    device: torch.device
    """Where its networks and rows lie."""
    generator: torch.Generator
    """Of everything that it and its policy draw."""

    def receive(self, tick: Tick) -> None:
        """Take rows of experience."""

    def learn(self, step: int) -> Metrics | None:
        """Learn, and return what to record; None while there is not enough to learn from. step: rows seen so far."""

    def close(self, lane: Tensor) -> None:
        """End the segments of these (n,) lanes where they are: their agents are gone."""

    def close_groups(self, number: Tensor) -> None:
        """End the segments of groups; number: (m,), as in `Membership`. Only asked where `capabilities` have groups."""

    def forget(self) -> None:
        """Drop rows of unfinished segments and everything not yet learned from."""

    def state_dict(self) -> State:
        """Return tensors and plain containers that make an equal trainer, but for its rows."""

    def load_state_dict(self, state: State) -> None:
        """Take what `state_dict` gave; raises KeyError or RuntimeError when it is another kind of network."""


@dataclass(frozen=True)
class TrainerSetup:
    """What every trainer is made from, whatever its algorithm."""

    spec: BehaviorSpec
    network: NetworkSettings
    signals: Sequence[RewardSignal]
    max_steps: int  # where linear schedules reach their minimum
    demonstrations: DemonstrationSettings | None = None  # for trainers that can learn from them
    device: torch.device = CPU  # where networks and rows lie
    generator: torch.Generator = field(default_factory=torch.Generator)  # of what is drawn while it acts and learns
    cloning: BehavioralCloningSettings | None = None  # what is imitated beside learning from reward

    @property
    def critic_only(self) -> tuple[str, ...]:
        """The names of sensors that only a critic sees; raises UnsupportedNetwork for settings that fit no sensor."""
        return critic_only(self.spec.observation_specs, self.network)
