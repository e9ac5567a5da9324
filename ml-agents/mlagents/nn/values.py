"""What a state is worth."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mlagents.nn.body import NetworkBody
from mlagents.nn.settings import NetworkSettings
from mlagents_envs.base_env import BehaviorSpec


class Critic(nn.Module):
    """A value network with one head per reward signal; S is their number."""

    def __init__(
        self, spec: BehaviorSpec, settings: NetworkSettings, signals: Sequence[str], *,
        beside: NetworkBody, shares_body: bool = False,
    ) -> None:  # fmt: skip
        """Make a critic that sees the same rows as the actor's body `beside` it, so they share a normalizer."""
        super().__init__()
        self.signals = tuple(signals)
        self.body = beside if shares_body else NetworkBody(spec.observation_specs, settings, beside.normalizer)
        self.head = nn.Linear(settings.hidden_units, len(self.signals))
        with torch.no_grad():
            for row in self.head.weight:  # each signal's head is drawn as if it were alone
                nn.init.xavier_uniform_(row[None])
        nn.init.zeros_(self.head.bias)

    def forward(self, obs: tuple[Tensor, ...]) -> Tensor:
        """Return (n, S) values."""
        return self.body(obs, self.head)  # type: ignore[no-any-return]
