"""A layer that a goal steers: what is meant decides how everything else is seen."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mlagents.nn.layers import is_traced, layer_norm, linear

FEW = 8  # goals for which it is quicker to ask for all answers of all rows than to fetch the weights of each row
AT_ONCE = 256  # rows with goals of their own that pass together while nothing is learnt: each has a whole matrix


class GoalLayer(nn.Module):
    """A linear layer whose weights are what another network says of the goal. Ha et al. 2017, arXiv:1609.09106."""

    def __init__(self, inputs: int, outputs: int, goal: int) -> None:
        """goal: numbers of a goal; the hidden layers of the other network are as wide as the output."""
        super().__init__()
        self.inputs = inputs
        self.first, self.second = linear(goal, outputs, 1.0), linear(outputs, outputs, 1.0)
        self.weights = nn.Linear(outputs, inputs * outputs)
        bound = math.sqrt(1 / (inputs * outputs))
        nn.init.uniform_(self.weights.weight, -bound, bound)
        nn.init.zeros_(self.weights.bias)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, goal: Tensor) -> Tensor:
        """Return (n, outputs) of (n, inputs) and (n, goal)."""
        # Rows with the same goal share its weights, and goals are mostly few.
        if not goal.requires_grad and not is_traced():
            distinct, which = torch.unique(goal, dim=0, return_inverse=True)
            if len(distinct) <= FEW:
                every = torch.einsum("ni,kio->nko", x, self.matrix(distinct))
                return every[torch.arange(len(x), device=x.device), which] + self.bias
        if torch.is_grad_enabled() or is_traced():
            return self._each(x, goal)
        parts = zip(torch.split(x, AT_ONCE), torch.split(goal, AT_ONCE), strict=True)
        return torch.cat([self._each(*part) for part in parts])

    def matrix(self, goal: Tensor) -> Tensor:
        """Return (n, inputs, outputs), the weights that each goal means."""
        hidden = nn.functional.silu(self.second(nn.functional.silu(self.first(goal))))
        weights: Tensor = self.weights(layer_norm(hidden)).unflatten(1, (self.inputs, -1))
        return weights

    def _each(self, x: Tensor, goal: Tensor) -> Tensor:
        return torch.bmm(x[:, None], self.matrix(goal))[:, 0] + self.bias
