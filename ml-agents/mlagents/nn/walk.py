"""Linear layers with swish between them, walked forward and backward for one number of rows, in memory kept for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlagents.nn.kernels import kernels

Array = NDArray[Any]


class Walk:
    """Of n rows. Weights and biases, and what receives their gradients, are arrays that others own and change."""

    def __init__(self, parameters: Sequence[Array], gradients: Sequence[Array], n: int) -> None:
        """parameters, gradients: weight (out, in) and bias (out,) of each layer in turn; one layer at least."""
        self._weights, self._biases = parameters[::2], parameters[1::2]
        self._by_weights, self._by_biases = gradients[::2], gradients[1::2]
        widths = [len(bias) for bias in self._biases]
        self._outputs = [np.empty((n, width), np.float32) for width in widths]
        self._slopes = [np.empty((n, width), np.float32) for width in widths[:-1]]
        self._pulls = [np.empty((n, width), np.float32) for width in widths[:-1]]
        self._inputs: list[Array] = []
        self._kernels = kernels()

    def forward(self, x: Array) -> Array:
        """Return the (n, out) output of (n, in); it is overwritten by the next call."""
        self._inputs = [x]
        for weight, bias, output, slope in zip(self._weights, self._biases, self._outputs, self._slopes, strict=False):
            np.matmul(x, weight.T, out=output)
            self._kernels.swish_and_slope(output, bias, slope)
            self._inputs.append(x := output)
        output = self._outputs[-1]
        np.matmul(x, self._weights[-1].T, out=output)
        output += self._biases[-1]
        return output

    def backward(self, pull: Array) -> None:
        """Set the gradients, from the (n, out) gradient of the output of the last `forward`."""
        np.add.reduce(pull, 0, out=self._by_biases[-1])
        for layer in range(len(self._slopes), 0, -1):
            np.matmul(pull.T, self._inputs[layer], out=self._by_weights[layer])
            below = self._pulls[layer - 1]
            np.matmul(pull, self._weights[layer], out=below)
            self._kernels.through_swish(below, self._slopes[layer - 1], self._by_biases[layer - 1])
            pull = below
        np.matmul(pull.T, self._inputs[0], out=self._by_weights[0])
