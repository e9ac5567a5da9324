"""What a trainer is, and what every one is made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from torch import Tensor, nn

from mlagents.algorithms.capabilities import Capabilities
from mlagents.algorithms.settings import HyperparamSettings
from mlagents.data.rollout import Tick
from mlagents.demonstrations.settings import DemonstrationSettings
from mlagents.nn.policy import Actor
from mlagents.nn.settings import NetworkSettings
from mlagents.rewards.signal import RewardSignal
from mlagents_envs.base_env import BehaviorSpec

Metrics = Mapping[str, Any]  # a number, or an array of numbers to be averaged
State = dict[str, Any]


class Trainer(Protocol):
    """What `trainer_type` names."""

    Settings: ClassVar[type[HyperparamSettings]]
    """What the YAML's `hyperparameters` may say."""
    capabilities: ClassVar[Capabilities]
    """What it can learn."""
    policy: Actor
    """What acts, and what is exported."""

    def receive(self, tick: Tick) -> None:
        """Take rows that came home."""

    def learn(self, step: int) -> Metrics | None:
        """Learn, and return what to record; None while there is not enough to learn from. step: rows seen so far."""

    def close(self, lane: Tensor) -> None:
        """End the segments of these (n,) lanes where they are: their agents are gone."""

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
    device: torch.device = torch.device("cpu")  # where networks and rows lie  # noqa: RUF009
    generator: torch.Generator = field(default_factory=torch.Generator)  # of every random number while it acts and learns


def title(name: str) -> str:
    """Return a name as TensorBoard tags spell it: `learning_rate` is `Learning Rate`."""
    return name.replace("_", " ").title()


def unique(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    """Return each parameter once: networks may share some."""
    return list(dict.fromkeys(parameters))
