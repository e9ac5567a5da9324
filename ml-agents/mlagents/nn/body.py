"""From observations to features, and from features to what a head says."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mlagents.nn import fast
from mlagents.nn.normalize import Normalizer
from mlagents.nn.settings import NetworkSettings
from mlagents_envs.base_env import ObservationSpec


class UnsupportedNetwork(ValueError):
    """A network of this kind cannot be built for this behavior."""


class NetworkBody(nn.Module):
    """Vector observations side by side, normalized if asked, through layers of linear and swish."""

    def __init__(
        self, sensors: Sequence[ObservationSpec], settings: NetworkSettings, normalizer: Normalizer | None = None
    ) -> None:
        super().__init__()
        size = sum(vector_size(sensor) for sensor in sensors)
        if settings.normalize and normalizer is None:
            normalizer = Normalizer(size)
        self.normalizer = normalizer  # maybe another body's, which sees the same rows
        self._stacks: dict[nn.Linear, fast.Stack] = {}  # by head
        widths = [size] + [settings.hidden_units] * max(settings.num_layers, 1)
        self.layers = nn.ModuleList(linear(i, o, 1.0) for i, o in itertools.pairwise(widths))

    def forward(self, obs: tuple[Tensor, ...], head: nn.Linear) -> Tensor:
        """Return what `head` says of these observations, (n, outputs of the head).

        The head is walked with the body: one small stack costs half of two.
        """
        x = self.encode(obs)
        if head not in self._stacks:
            self._stacks[head] = fast.Stack([p for layer in (*self.layers, head) for p in (layer.weight, layer.bias)])
        stack = self._stacks[head]
        return stack(x) if stack.applies(x) else self.reference(x, head)

    def _apply(self, *change: Any, **options: Any) -> NetworkBody:
        self._stacks.clear()  # parameters are about to move to other memory
        return super()._apply(*change, **options)  # type: ignore[no-any-return]

    def encode(self, obs: tuple[Tensor, ...]) -> Tensor:
        """Return all sensors side by side, (n, size)."""
        x = obs[0] if len(obs) == 1 else torch.cat(obs, 1)
        return x if self.normalizer is None else self.normalizer(x)

    def reference(self, x: Tensor, head: nn.Linear) -> Tensor:
        """Return the same as `forward` of encoded observations, by autograd alone: on other devices, and in tests."""
        for layer in self.layers:
            x = nn.functional.silu(layer(x))
        return head(x)  # type: ignore[no-any-return]

    def observe(self, obs: tuple[Tensor, ...]) -> None:
        """Let the normalizer see more rows."""
        if self.normalizer is not None:
            self.normalizer.update(obs[0] if len(obs) == 1 else torch.cat(obs, 1))


def vector_size(sensor: ObservationSpec) -> int:
    """Return the numbers of a vector sensor; raises UnsupportedNetwork for any other kind."""
    if len(sensor.shape) != 1:
        kind = "images" if len(sensor.shape) == 3 else f"observations of rank {len(sensor.shape)}"
        raise UnsupportedNetwork(
            f"sensor '{sensor.name}' has shape {tuple(sensor.shape)}: {kind} cannot be encoded yet, only vectors"
        )
    return sensor.shape[0]


def linear(inputs: int, outputs: int, gain: float) -> nn.Linear:
    """Return a linear layer with weights of deviation gain / sqrt(inputs) and no bias to begin with."""
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=gain / math.sqrt(max(inputs, 1)))
    nn.init.zeros_(layer.bias)
    return layer
