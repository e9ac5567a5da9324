"""Small pieces of a policy walked forward and backward in numpy, on the memory of the torch parameters.

For small networks autograd's dispatch costs more than the arithmetic; one Function for a whole piece pays it once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

Array = NDArray[Any]
EPSILON = np.float32(1e-7)  # as in `distributions`
HALF_LOG_TWO_PI = np.float32(0.5 * math.log(2 * math.pi))


def applies(x: Tensor, weights: Sequence[Tensor]) -> bool:
    """Is this stack on the CPU in float32, so that numpy sees its memory?"""
    return x.device.type == "cpu" and x.dtype == torch.float32 and weights[0].device.type == "cpu"


def mlp(x: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """Return the (n, out) output of linear layers with swish between them.

    x: (n, in); parameters: weight (out, in) and bias (out,) of each layer in turn. The last layer has no swish.
    """
    if torch.is_grad_enabled():
        return _MLP.apply(x, *parameters)  # type: ignore[no-any-return, no-untyped-call]
    return torch.from_numpy(_forward(x.numpy(), [p.detach().numpy() for p in parameters], []))


def gaussian(mean: Tensor, log_sigma: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
    """Return what `distributions.gaussian_log_prob` (n, C) and `gaussian_entropy` (1,) do; all on the CPU."""
    return _Gaussian.apply(mean, log_sigma, action)  # type: ignore[no-any-return, no-untyped-call]


class _Gaussian(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, mean: Tensor, log_sigma: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        sigma = np.exp(log_sigma.detach().numpy())
        off = action.detach().numpy() - mean.detach().numpy()
        width = 2 * sigma * sigma + EPSILON
        ctx.walked = sigma, off, width
        log_prob = -(off * off) / width - (np.log(sigma + EPSILON) + HALF_LOG_TWO_PI)
        entropy = 0.5 * np.log(np.float32(2 * math.pi * math.e) * sigma * sigma + EPSILON).mean(1)
        return torch.from_numpy(log_prob), torch.from_numpy(entropy)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor, entropy: Tensor) -> tuple[Tensor, Tensor, None]:
        sigma, off, width = ctx.walked
        g, full = gradient.numpy(), np.float32(2 * math.pi * math.e)
        pull = g * off / width
        variance = sigma * sigma
        by_sigma = (pull * off).sum(0, keepdims=True) * (4 * variance / width)
        by_sigma -= g.sum(0, keepdims=True) * (sigma / (sigma + EPSILON))
        by_sigma += entropy.numpy()[:, None] * (full * variance / (full * variance + EPSILON)) / sigma.shape[1]
        return torch.from_numpy(2 * pull), torch.from_numpy(by_sigma), None


class _MLP(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, *parameters: Tensor) -> Tensor:
        ctx.walked = []
        ctx.save_for_backward(*parameters)
        return torch.from_numpy(_forward(x.detach().numpy(), [p.detach().numpy() for p in parameters], ctx.walked))

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weights = [p.detach().numpy() for p in ctx.saved_tensors[::2]]
        out = gradient.numpy()
        found: list[Tensor | None] = []
        for layer in range(len(weights) - 1, -1, -1):
            below, slope = ctx.walked[layer]
            found += [torch.from_numpy(out.sum(0)), torch.from_numpy(out.T @ below)]
            if layer == 0 and not ctx.needs_input_grad[0]:
                return (None, *reversed(found))
            out = out @ weights[layer]
            if layer:
                out *= slope
        return (torch.from_numpy(out), *reversed(found))


def _forward(x: Array, parameters: list[Array], walked: list[tuple[Array, Array | None]]) -> Array:
    """Return the output; `walked` receives, for each layer, its input and the slope of the swish that made it."""
    slope = None
    last = len(parameters) - 2
    for i in range(0, len(parameters), 2):
        walked.append((x, slope))
        x = x @ parameters[i].T
        x += parameters[i + 1]
        if i < last:
            x, slope = _swish(x)
    return x


def _swish(z: Array) -> tuple[Array, Array]:
    """Return z s(z) and its slope s + z s (1 - s), with s(z) = (1 + tanh(z / 2)) / 2, which cannot overflow."""
    gate = z * np.float32(0.5)
    np.tanh(gate, out=gate)
    gate += np.float32(1.0)
    gate *= np.float32(0.5)
    out = z * gate
    slope = np.float32(1.0) - gate
    slope *= out
    slope += gate
    return out, slope
