"""Vector observations, scaled by what was seen so far."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mlagents.nn.kernels import kernels
from mlagents.nn.layers import is_traced

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
        self._inverse: Array | None = None  # (size,) 1 / deviation, None where the numbers have changed since

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, size) rows, less the mean, over the deviation, and clipped."""
        # A dozen rows: numpy has them before torch has begun.
        if x.device.type == "cpu" and not x.requires_grad and not is_traced():
            if self._inverse is None:
                self._inverse = 1 / self.deviation().numpy()
            rows = x.numpy()
            out = np.empty_like(rows)
            kernels().scaled(rows, self.running_mean.numpy(), self._inverse, np.float32(LIMIT), out)
            return torch.from_numpy(out)
        return ((x - self.running_mean) / self.deviation()).clamp(-LIMIT, LIMIT)

    def deviation(self) -> Tensor:
        """Return the (size,) standard deviation."""
        return (self.running_variance / self.normalization_steps.item()).sqrt_()

    def _load_from_state_dict(self, *given: Any, **options: Any) -> None:
        self._inverse = None
        super()._load_from_state_dict(*given, **options)

    def _apply(self, *change: Any, **options: Any) -> Normalizer:
        self._inverse = None
        return super()._apply(*change, **options)  # type: ignore[no-any-return, no-untyped-call]

    def update(self, x: Tensor) -> None:
        """Take (n, size) more rows."""
        self._inverse = None
        rows, mean, variance = x.cpu().numpy(), self.running_mean.cpu().numpy(), self.running_variance.cpu().numpy()
        self.normalization_steps += len(rows)
        off = rows - mean
        mean += np.add.reduce(off, 0) / np.float32(self.normalization_steps)
        off *= rows - mean
        variance += np.add.reduce(off, 0)
        self.running_mean.copy_(torch.from_numpy(mean))  # on the CPU these are the buffers' own memory already
        self.running_variance.copy_(torch.from_numpy(variance))
