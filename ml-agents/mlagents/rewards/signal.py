"""Reward signals: where the rewards of rows come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mlagents.data.experience import Actions, Experience, PolicyInput
from mlagents.data.finite import check_gradients, check_losses
from mlagents.data.rows import Rows
from mlagents.rewards.settings import RewardSignalSettings
from mlagents_envs.base_env import BehaviorSpec


class SignalBatch:
    """n rows as a reward signal sees them."""

    def __init__(
        self, rows: Experience, next_input: Callable[[], PolicyInput],
        to_env: Callable[[Actions], Actions] | None = None,
    ) -> None:  # fmt: skip
        """next_input: returns it when it is first asked for, since not every signal looks at it.

        to_env: a policy's `env_action`; None where the environment gets actions as they were sampled.
        """
        self.rows = rows
        self._next_input, self._to_env = next_input, to_env

    @cached_property
    def next_input(self) -> PolicyInput:
        """What each agent saw after its row, n rows."""
        return self._next_input()

    @property
    def env_action(self) -> Actions:
        """What the environment got in each row, n rows: as demonstrations hold actions."""
        action = self.rows.output.action
        return action if self._to_env is None else self._to_env(action)

    def table(self) -> SignalRows:
        """Return the rows with what followed them."""
        return SignalRows(self.rows, self.next_input)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> SignalBatch:
        return SignalBatch(self.rows[index], lambda: self.next_input[index], self._to_env)


@dataclass(frozen=True, slots=True)
class SignalRows(Rows):
    """n rows as a reward signal sees them, as a table."""

    rows: Experience
    next_input: PolicyInput


@dataclass(frozen=True)
class SignalSetup:
    """What every reward signal is made from."""

    name: str  # as the YAML's `reward_signals` has it
    spec: BehaviorSpec
    device: torch.device
    generator: torch.Generator
    training: bool = True  # False: nothing will be learned, so no demonstration needs to be read
    critic_only: tuple[str, ...] = ()  # names of sensors that the policy does not see


class RewardSignal:
    """A source of reward; the critic has one head for each. A subclass writes `evaluate`, and `update` if it learns.

    Networks and optimizers that are public attributes are kept in checkpoints.
    """

    Settings: ClassVar[type[RewardSignalSettings]] = RewardSignalSettings
    """What the YAML may say of it."""
    ignores_done: ClassVar[bool] = False
    """True: the future counts beyond the end of an episode."""

    def __init__(self, setup: SignalSetup, settings: Any) -> None:
        self.settings = settings
        self.name = setup.name
        self.gamma: float = settings.gamma
        self.strength: float = settings.strength

    def evaluate(self, batch: SignalBatch) -> Tensor:
        """Return the (n,) rewards of the rows, before they are multiplied by `strength`; called without gradients."""
        raise NotImplementedError(f"{type(self).__name__} has no evaluate: a RewardSignal writes evaluate(batch)")

    def update(self, batch: SignalBatch) -> Mapping[str, float]:
        """Descend once on these rows, and return what to record."""
        return {}

    @property
    def learns(self) -> bool:
        """Does it change as training goes on? Then rows of long ago are judged anew whenever they are learned from."""
        return type(self).update is not RewardSignal.update

    def make_optimizer(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        """Return Adam with the settings' `learning_rate`."""
        return torch.optim.Adam(parameters, lr=self.settings.learning_rate)

    def descend(self, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        """Take one step down a scalar loss; raises NotFinite, before the step, for a loss or a gradient that is NaN."""
        check_losses({self.name: loss.item()}, "loss of the reward signal")
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        check_gradients(parameters, self._networks)
        optimizer.step()

    def _networks(self) -> dict[str, nn.Module]:
        return {f"{self.name} signal {name}": m for name, m in vars(self).items() if isinstance(m, nn.Module)}


class Extrinsic(RewardSignal):
    """What the environment gives: an agent's own reward and its group's."""

    def __init__(self, *, gamma: float, strength: float) -> None:
        self.name, self.gamma, self.strength = "extrinsic", gamma, strength

    def evaluate(self, batch: SignalBatch) -> Tensor:
        return batch.rows.reward + batch.rows.group_reward
