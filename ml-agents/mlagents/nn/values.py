"""Value networks: V(s), and Q(s, a)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from mlagents.data.experience import Actions, PolicyInput
from mlagents.nn.body import NetworkBody
from mlagents.nn.layers import UnsupportedNetwork, flat_action
from mlagents.nn.sensors import by_kind
from mlagents.nn.settings import NetworkSettings
from mlagents_envs.base_env import BehaviorSpec, ObservationSpec


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


def critic_body(
    sensors: Sequence[ObservationSpec], settings: NetworkSettings, beside: NetworkBody | None, *, extra: int = 0
) -> NetworkBody:
    """Return a body that sees every sensor, also those that are for the critic only; extra: as of `NetworkBody`.

    beside: the actor's body, or that of another critic, whose normalizer is shared where both see the same vectors.
    """
    same = beside is not None and beside.kinds.vectors == by_kind(sensors).vectors
    return NetworkBody(sensors, settings, beside.normalizer if beside is not None and same else None, extra=extra)


class Critic(nn.Module):
    """V(s) with one head per reward signal; S is their number."""

    def __init__(
        self, spec: BehaviorSpec, settings: NetworkSettings, signals: Sequence[str], *,
        beside: NetworkBody | None = None, shares_body: bool = False, memory_size: int = 0,
    ) -> None:  # fmt: skip
        """beside: the actor's body, whose normalizer is shared where both see the same vectors.

        shares_body: sit on that body; raises UnsupportedNetwork where the critic is to see more. memory_size: of the
        policy's memory, which the critic sees too.
        """
        super().__init__()
        self.signals = tuple(signals)
        if beside is not None and shares_body:
            if beside.unseen:
                raise UnsupportedNetwork(
                    f"hyperparameters.shared_critic: the critic cannot sit on the policy's body, for it alone sees "
                    f"{', '.join(beside.unseen)}; set shared_critic to false, or let the policy see them too"
                )
            self.body = beside
        else:
            self.body = critic_body(spec.observation_specs, settings, beside, extra=memory_size)
        self.head = value_head(self.body.width, len(self.signals))

    def forward(self, input: PolicyInput) -> Tensor:
        """Return (n, S) values."""
        return self.body(input, self.head, input.memory if self.body.extra else None)  # type: ignore[no-any-return]

    def observe(self, obs: tuple[Tensor, ...]) -> None:
        """Let the normalizer see more rows; a trainer's template does so."""
        self.body.observe(obs)


class ActionCritic(nn.Module):
    """Q(s, a) of several networks that begin differently, each with one head per reward signal.

    Actions enter beside the encoded observations: continuous ones as they are, choices as one-hot.
    """

    def __init__(self, setup: NetworkSetup, *, beside: NetworkBody, twins: int = 2) -> None:
        """setup: a `TrainerSetup`; twins: how many networks.

        beside: the actor's body, whose normalizer is shared where both see the same vectors.
        """
        super().__init__()
        actions = setup.spec.action_spec
        self.branches = tuple(actions.discrete_branches)
        sensors, extra = setup.spec.observation_specs, actions.continuous_size + sum(self.branches)
        bodies = [critic_body(sensors, setup.network, beside, extra=extra)]
        bodies += [critic_body(sensors, setup.network, bodies[0], extra=extra) for _ in range(1, twins)]
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
