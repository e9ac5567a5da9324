"""Value networks: V(s), and Q(s, a)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from mlagents.data.experience import Actions, PolicyInput
from mlagents.nn.body import NetworkBody
from mlagents.nn.layers import flat_action
from mlagents.nn.settings import NetworkSettings
from mlagents_envs.base_env import BehaviorSpec


class NetworkSetup(Protocol):
    """What a network is made from."""

    @property
    def spec(self) -> BehaviorSpec:
        """What agents see and may do."""

    @property
    def network(self) -> NetworkSettings:
        """The YAML's network_settings."""

    @property
    def signals(self) -> Sequence[object]:
        """The reward signals."""


class Critic(nn.Module):
    """V(s) with one head per reward signal; S is their number."""

    def __init__(
        self, spec: BehaviorSpec, settings: NetworkSettings, signals: Sequence[str], *,
        beside: NetworkBody | None = None, shares_body: bool = False, memory_size: int = 0,
    ) -> None:  # fmt: skip
        """beside: the actor's body, which sees the same rows, so they share a normalizer; without it, it has its own.

        shares_body: sit on that body. memory_size: of the policy's memory, which the critic sees too.
        """
        super().__init__()
        self.signals = tuple(signals)
        shared = beside.normalizer if beside is not None else None
        if beside is not None and shares_body:
            self.body = beside
        else:
            self.body = NetworkBody(spec.observation_specs, settings, shared, extra=memory_size)
        self.normalizes = shared is None and self.body.normalizer is not None
        self.head = value_head(self.body.width, len(self.signals))

    def forward(self, input: PolicyInput) -> Tensor:
        """Return (n, S) values."""
        return self.body(input, self.head, input.memory if self.body.extra else None)  # type: ignore[no-any-return]

    def observe(self, obs: tuple[Tensor, ...]) -> None:
        """Let a normalizer of its own see more rows."""
        self.body.observe(obs)


class ActionCritic(nn.Module):
    """Q(s, a) of several networks that begin differently, each with one head per reward signal.

    Actions enter beside the encoded observations: continuous ones as they are, choices as one-hot.
    """

    def __init__(self, setup: NetworkSetup, *, beside: NetworkBody, twins: int = 2) -> None:
        """setup: a `TrainerSetup`; beside: the actor's body, whose normalizer is shared; twins: how many networks."""
        super().__init__()
        actions = setup.spec.action_spec
        self.branches = tuple(actions.discrete_branches)
        sensors, extra = setup.spec.observation_specs, actions.continuous_size + sum(self.branches)
        bodies = [NetworkBody(sensors, setup.network, beside.normalizer, extra=extra) for _ in range(twins)]
        self.bodies = nn.ModuleList(bodies)
        self.heads = nn.ModuleList(value_head(body.width, len(setup.signals)) for body in bodies)

    def forward(self, input: PolicyInput, action: Actions) -> Tensor:
        """Return (twins, n, S) values of `action`."""
        extra = flat_action(action, self.branches)
        return torch.stack([body(input, head, extra) for body, head in zip(self.bodies, self.heads, strict=True)])


def value_head(inputs: int, signals: int) -> nn.Linear:
    """Return a linear layer with one output per reward signal, each drawn as if it were alone."""
    head = nn.Linear(inputs, signals)
    with torch.no_grad():
        for row in head.weight:
            nn.init.xavier_uniform_(row[None])
    nn.init.zeros_(head.bias)
    return head
