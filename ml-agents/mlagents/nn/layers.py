"""What all networks are made of, begun as Unity's trainers begin it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class UnsupportedNetwork(ValueError):
    """A network of this kind cannot be built for this behavior."""


def linear(inputs: int, outputs: int, gain: float) -> nn.Linear:
    """Return a linear layer with weights of deviation gain / sqrt(inputs) and no bias to begin with."""
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=gain / math.sqrt(max(inputs, 1)))
    nn.init.zeros_(layer.bias)
    return layer


def layer_norm(x: Tensor) -> Tensor:
    """Return x with mean 0 and variance 1 over its last axis; nothing of it is learnt."""
    return nn.functional.layer_norm(x, x.shape[-1:])


def side_by_side(columns: Sequence[Tensor]) -> Tensor:
    """Return (n, sum of sizes) of several (n, size); at least one."""
    return columns[0] if len(columns) == 1 else torch.cat(tuple(columns), 1)
