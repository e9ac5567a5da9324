"""Pure functions of tensors: returns and losses. (n,) means one number per row, S the number of reward signals."""

from __future__ import annotations

import torch
from torch import Tensor


def gae(
    reward: Tensor, value: Tensor, after: Tensor, closes: Tensor, lane: Tensor, ticks: Tensor,
    *, gamma: Tensor | float, lam: float,
) -> Tensor:  # fmt: skip
    """Advantages over ragged ticks; V(s') of a row is the value of its lane's next row.

    reward, value, after: (n,) or (n, S); after is V of what followed a row that closes its segment, 0 if the episode
    terminated, and anything elsewhere. closes: (n,) bool. lane: (n,) int64. ticks: (T + 1,) where each tick begins.
    gamma: a number, or (S,). Returns (n,) or (n, S).
    A_t = d_t + gamma lam A_{t+1},  d_t = r_t + gamma V_{t+1} - V_t.  Schulman et al. 2015, arXiv:1506.02438, eq. 16
    """
    advantage = torch.empty_like(value)
    seats = int(lane.max()) + 1
    next_value = value.new_zeros((seats, *value.shape[1:]))
    next_advantage = torch.zeros_like(next_value)
    wide = closes.view(-1, *[1] * (value.dim() - 1))
    delta = reward - value + gamma * torch.where(wide, after, torch.zeros_like(after))
    decay = gamma * lam
    going_on = (~wide).to(value.dtype)
    bounds = ticks.tolist()
    for start, stop in zip(bounds[-2::-1], bounds[:0:-1], strict=True):
        seat, alive = lane[start:stop], going_on[start:stop]
        carry = gamma * next_value[seat] + decay * next_advantage[seat]
        advantage[start:stop] = torch.addcmul(delta[start:stop], alive, carry)
        next_advantage[seat] = advantage[start:stop]
        next_value[seat] = value[start:stop]
    return advantage


def normalized(advantage: Tensor) -> Tensor:
    """(n,) to mean 0 and standard deviation 1 over all rows (population)."""
    return (advantage - advantage.mean()) / (advantage.std(correction=0) + 1e-10)


def clipped_surrogate(log_prob: Tensor, old: Tensor, advantage: Tensor, epsilon: float) -> Tensor:
    """PPO's policy loss, a scalar. Schulman et al. 2017, arXiv:1707.06347, eq. 7.

    log_prob, old: (n, D), one per action dimension and branch; advantage: (n,).
    """
    ratio = torch.exp(log_prob - old)  # per action dimension, as Unity's trainers do; most texts sum first
    gain = advantage.unsqueeze(1)
    return -torch.min(ratio * gain, ratio.clamp(1 - epsilon, 1 + epsilon) * gain).mean()
