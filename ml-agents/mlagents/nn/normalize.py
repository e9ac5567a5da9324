"""Vector observations, scaled by what was seen so far."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[Any]
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
        self._inverse: tuple[int, Array] = -1, np.ones(size, np.float32)  # of which version, and what

    def forward(self, x: Tensor) -> Tensor:
        # A dozen rows: numpy has them before torch has begun.
        if x.device.type == "cpu" and not x.requires_grad and not torch.jit.is_tracing():
            out = x.numpy() - self.running_mean.numpy()
            out *= self._inverse_deviation()
            return torch.from_numpy(np.minimum(np.maximum(out, -LIMIT, out=out), LIMIT, out=out))
        return ((x - self.running_mean) / self.deviation()).clamp(-LIMIT, LIMIT)

    def deviation(self) -> Tensor:
        """Return the (size,) standard deviation."""
        return (self.running_variance / self.normalization_steps.item()).sqrt_()

    def _inverse_deviation(self) -> Array:
        """(size,) 1 / deviation, computed again only after an update or a load."""
        version, known = self._inverse
        if version != self.running_variance._version:
            known = 1 / self.deviation().numpy()
            self._inverse = self.running_variance._version, known
        return known

    def update(self, x: Tensor) -> None:
        """Take (n, size) more rows."""
        rows, mean, variance = x.cpu().numpy(), self.running_mean.cpu().numpy(), self.running_variance.cpu().numpy()
        self.normalization_steps += len(rows)
        off = rows - mean
        mean += np.add.reduce(off, 0) / np.float32(self.normalization_steps)
        off *= rows - mean
        variance += np.add.reduce(off, 0)
        self.running_mean.copy_(torch.from_numpy(mean))  # on the CPU these are the buffers' own memory already
        self.running_variance.copy_(torch.from_numpy(variance))
