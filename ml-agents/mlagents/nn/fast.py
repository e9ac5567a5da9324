"""Small pieces of a policy walked forward and backward in numpy, on the memory of the torch parameters.

For small networks autograd's dispatch costs more than the arithmetic; one Function for a whole piece pays it once.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from mlagents.nn.layers import LayerWatch, is_plain_linear

Array = NDArray[Any]
Saved = list[tuple[Array, Array | None]]  # what a walk forward leaves for the walk back
EPSILON = np.float32(1e-7)  # as in `distributions`
TWO_PI_E = np.float32(2 * math.pi * math.e)
HALF_LOG_TWO_PI = np.float32(0.5 * math.log(2 * math.pi))


class Stack:
    """Linear layers with swish between them, none after the last; a view of layers that others own."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        self.layers = tuple(layers)
        self._is_mlp = all(is_plain_linear(layer) for layer in layers)
        self._watch = LayerWatch(layers)
        self._look()

    def __deepcopy__(self, memo: dict[int, Any]) -> Stack:
        return Stack([copy.deepcopy(layer, memo) for layer in self.layers])  # a copy sees its own parameters

    def applies(self, x: Tensor) -> bool:
        """Are these plain layers on the CPU in float32, so that numpy sees their memory, and is nobody hooked in?"""
        if not self._is_mlp or x.device.type != "cpu" or x.dtype is not torch.float32:
            return False
        addresses = self._watch.addresses()
        if addresses is None:
            return False
        if addresses != self._memory:
            self._look()  # an author has put other parameters in their place
        return self._on_cpu

    def __call__(self, x: Tensor) -> Tensor:
        """Return (n, out) of (n, in); `applies` was asked before."""
        if torch.is_grad_enabled():
            return _MLP.apply(x, *self.parameters)  # type: ignore[no-any-return, no-untyped-call]
        with np.errstate(over="ignore", invalid="ignore"):  # as torch, which says nothing of it
            return torch.from_numpy(forward(x.numpy(), self._seen, None))

    def _look(self) -> None:
        """See the parameters where they are now."""
        self.parameters = [p for layer in self.layers for p in (layer.weight, layer.bias)] if self._is_mlp else []
        self._memory = [p.data_ptr() for p in self.parameters]
        self._on_cpu = all(p.device.type == "cpu" and p.dtype == torch.float32 for p in self.parameters)
        self._seen = [p.detach().numpy() for p in self.parameters] if self._on_cpu else []


def gaussian(mean: Tensor, log_sigma: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
    """Return what `distributions.gaussian_log_prob` (n, C) and `gaussian_entropy` (1,) do; all on the CPU."""
    if torch.is_grad_enabled():
        return _Gaussian.apply(mean, log_sigma, action)  # type: ignore[no-any-return, no-untyped-call]
    _, log_prob, entropy = gaussian_forward(mean.numpy(), log_sigma.detach().numpy(), action.numpy())
    return torch.from_numpy(log_prob), torch.from_numpy(entropy)


class _Gaussian(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, mean: Tensor, log_sigma: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        ctx.saved, log_prob, entropy = gaussian_forward(
            mean.detach().numpy(), log_sigma.detach().numpy(), action.detach().numpy()
        )
        return torch.from_numpy(log_prob), torch.from_numpy(entropy)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, entropy: Tensor) -> tuple[Tensor, Tensor, None]:
        by_mean, by_log_sigma = gaussian_backward(gradient.numpy(), entropy.numpy()[:, None], ctx.saved)
        return torch.from_numpy(by_mean), torch.from_numpy(by_log_sigma), None


def gaussian_forward(mean: Array, log_sigma: Array, action: Array) -> tuple[tuple[Array, Array, Array], Array, Array]:
    """Return what the walk back needs, the (n, C) log probabilities, and the (1,) entropy."""
    sigma = np.exp(log_sigma)
    variance = sigma * sigma
    off, width = action - mean, 2 * variance + EPSILON
    log_prob = off * off
    log_prob /= -width
    log_prob -= np.log(sigma + EPSILON) + HALF_LOG_TWO_PI
    entropy = np.float32(0.5) * np.log(TWO_PI_E * variance + EPSILON)
    return (sigma, off, width), log_prob, entropy.sum(1) / np.float32(entropy.shape[1])


def gaussian_backward(grad_out: Array, entropy_grad: Any, saved: tuple[Array, Array, Array]) -> tuple[Array, Array]:
    """Return the gradients of the (n, C) means and the (1, C) log sigma.

    grad_out: (n, C), what the log probabilities are pulled with; entropy_grad: a number, or (1, 1).
    """
    sigma, off, width = saved
    variance = sigma * sigma
    grad_mean = grad_out * off
    grad_mean /= width
    by_log_sigma = (grad_mean * off).sum(0, keepdims=True) * (4 * variance / width)
    by_log_sigma -= grad_out.sum(0, keepdims=True) * (sigma / (sigma + EPSILON))
    full = TWO_PI_E * variance
    by_log_sigma += entropy_grad * (full / (full + EPSILON)) / np.float32(sigma.shape[1])
    grad_mean *= 2
    return grad_mean, by_log_sigma


class _MLP(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, *parameters: Tensor) -> Tensor:
        ctx.saved = []
        ctx.save_for_backward(*parameters)
        return torch.from_numpy(forward(x.detach().numpy(), [p.detach().numpy() for p in parameters], ctx.saved))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weights = [p.detach().numpy() for p in ctx.saved_tensors[::2]]
        below, found = backward(gradient.numpy(), weights, ctx.saved, further=ctx.needs_input_grad[0])
        return (None if below is None else torch.from_numpy(below), *(torch.from_numpy(part) for part in found))


def forward(x: Array, parameters: Sequence[Array], saved: Saved | None) -> Array:
    """Return the (n, out) output; `saved` receives each layer's input and the slope of the swish that made it."""
    slope = None
    last = len(parameters) - 2
    for i in range(0, len(parameters), 2):
        if saved is not None:
            saved.append((x, slope))
        x = x @ parameters[i].T
        x += parameters[i + 1]
        if i < last:
            x, slope = _swish(x, saved is not None)
    return x


def backward(
    gradient: Array, weights: Sequence[Array], saved: Saved, *, further: bool = False
) -> tuple[Array | None, list[Array]]:
    """Return the gradient of the input, if asked `further`, and those of each layer's weight and bias in turn."""
    found: list[Array] = []
    for layer in range(len(weights) - 1, -1, -1):
        below, slope = saved[layer]
        found += [gradient.sum(0), gradient.T @ below]
        if layer == 0 and not further:
            return None, found[::-1]
        gradient = gradient @ weights[layer]
        if slope is not None:
            gradient *= slope
    return gradient, found[::-1]


def _swish(z: Array, sloped: bool) -> tuple[Array, Array | None]:
    """Return z s(z) and, if asked, its slope s + z s (1 - s); s(z) = (1 + tanh(z / 2)) / 2 cannot overflow."""
    gate = z * np.float32(0.5)
    np.tanh(gate, out=gate)
    gate += np.float32(1.0)
    gate *= np.float32(0.5)
    z *= gate
    if not sloped:
        return z, None
    slope = np.float32(1.0) - gate
    slope *= z
    slope += gate
    return z, slope
