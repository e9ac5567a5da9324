"""How likely actions are: pure functions. C is the number of continuous actions, K the sum of branch sizes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mlagents.nn import fast

EPSILON = 1e-7  # as Unity's trainers have it; keeps logarithms finite


def gaussian_log_prob(mean: Tensor, sigma: Tensor, action: Tensor) -> Tensor:
    """(n, C) log density of each dimension; mean, action: (n, C), sigma: (n, C) or (1, C)."""
    off = action - mean
    return -(off * off) / (2 * sigma * sigma + EPSILON) - torch.log(sigma + EPSILON) - 0.5 * math.log(2 * math.pi)


def gaussian_entropy(sigma: Tensor) -> Tensor:
    """(n,) or (1,) entropy, averaged over dimensions."""
    return 0.5 * torch.log(2 * math.pi * math.e * sigma * sigma + EPSILON).mean(1)


def gaussian(mean: Tensor, log_sigma: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
    """(n, C) log density of each dimension and (1,) entropy; log_sigma: (1, C)."""
    if mean.device.type == "cpu" and mean.dtype == torch.float32:
        return fast.gaussian(mean, log_sigma, action)
    sigma = log_sigma.exp()
    return gaussian_log_prob(mean, sigma, action), gaussian_entropy(sigma)


def masked(logits: Tensor, mask: Tensor) -> Tensor:
    """(n, K) logits with forbidden choices far below all others; mask: (n, K) bool, True = allowed."""
    return torch.where(mask, logits, -1e8)


def probabilities(logits: Tensor, branches: tuple[int, ...]) -> list[Tensor]:
    """One (n, branch size) table per branch, its rows summing to 1."""
    return [torch.softmax(branch, 1) for branch in logits.split(branches, 1)]


def categorical_log_prob(probs: list[Tensor], choice: Tensor) -> Tensor:
    """(n, B) log probability of each branch's choice; choice: (n, B) int64."""
    taken = [chance.gather(1, choice[:, i : i + 1]) for i, chance in enumerate(probs)]
    return torch.log(torch.cat(taken, 1) + EPSILON)


def categorical_entropy(probs: list[Tensor]) -> Tensor:
    """(n,) entropy, summed over branches."""
    each = [-(chance * torch.log(chance + EPSILON)).sum(1) for chance in probs]
    return each[0] if len(each) == 1 else torch.stack(each).sum(0)
