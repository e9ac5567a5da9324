"""Vector observations, scaled by what was seen so far."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LIMIT = 5.0  # deviations beyond which an observation is cut


class Normalizer(nn.Module):
    """Running mean and variance of (n, size) rows; the buffers' names are those of Unity's checkpoints."""

    normalization_steps: Tensor  # () rows seen, and one
    running_mean: Tensor  # (size,)
    running_variance: Tensor  # (size,) sum of squared deviations

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("normalization_steps", torch.tensor(1.0, dtype=torch.float64))
        self.register_buffer("running_mean", torch.zeros(size))
        self.register_buffer("running_variance", torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        return ((x - self.running_mean) / self.deviation()).clamp_(-LIMIT, LIMIT)

    def deviation(self) -> Tensor:
        """Return the (size,) standard deviation."""
        return (self.running_variance / self.normalization_steps.to(self.running_variance.dtype)).sqrt()

    @torch.no_grad()
    def update(self, x: Tensor) -> None:
        """Take (n, size) more rows."""
        self.normalization_steps += len(x)
        off = x - self.running_mean
        self.running_mean += off.sum(0) / self.normalization_steps.to(x.dtype)
        self.running_variance += (off * (x - self.running_mean)).sum(0)
