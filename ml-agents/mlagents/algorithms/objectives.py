"""Pure functions of tensors: returns and losses. (n,) means one number per row, S the number of reward signals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
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
    wide = closes.view(-1, *[1] * (value.dim() - 1))
    delta = reward - value + gamma * torch.where(wide, after, torch.zeros_like(after))
    discount = np.asarray(gamma.cpu() if isinstance(gamma, Tensor) else gamma, np.float32)
    # From here on in numpy, whose small operations cost a third of those of torch.
    lanes, values, going_on = lane.cpu().numpy(), value.cpu().numpy(), (~wide).cpu().numpy()
    advantage = delta.cpu().numpy()
    next_value = np.zeros((int(lanes.max()) + 1, *values.shape[1:]), np.float32)
    next_advantage = np.zeros_like(next_value)
    bounds = ticks.tolist()
    for start, stop in zip(bounds[-2::-1], bounds[:0:-1], strict=True):
        here = lanes[start:stop]
        carry = discount * (next_value[here] + lam * next_advantage[here])
        advantage[start:stop] += going_on[start:stop] * carry
        next_advantage[here] = advantage[start:stop]
        next_value[here] = values[start:stop]
    return torch.from_numpy(advantage).to(value.device)


def lambda_return(
    reward: Tensor, value: Tensor, after: Tensor, closes: Tensor, lane: Tensor, ticks: Tensor,
    *, gamma: Tensor, lam: Tensor | float,
) -> Tensor:  # fmt: skip
    """TD(lambda) targets over ragged ticks, whose rows are as those of `gae`.

    gamma: (n, S) or (S,); lam: (n, 1) or a number. Returns (n, S).
    R_t = r_t + gamma ((1 - lam) V_{t+1} + lam R_{t+1}).  Sutton & Barto 2018, chapter 12.1
    """
    lanes, values, closing = lane.cpu().numpy(), value.cpu().numpy(), closes.cpu().numpy()[:, None]
    gammas = np.broadcast_to(gamma.cpu().numpy(), values.shape)
    lams = np.broadcast_to(lam.cpu().numpy() if isinstance(lam, Tensor) else np.float32(lam), (len(values), 1))
    returns, ends = reward.cpu().numpy().copy(), after.cpu().numpy()
    next_value = np.zeros((int(lanes.max()) + 1, values.shape[1]), np.float32)
    next_return = np.zeros_like(next_value)
    bounds = ticks.tolist()
    for start, stop in zip(bounds[-2::-1], bounds[:0:-1], strict=True):
        rows, here = slice(start, stop), lanes[start:stop]
        follows = (1 - lams[rows]) * next_value[here] + lams[rows] * next_return[here]
        returns[rows] += gammas[rows] * np.where(closing[rows], ends[rows], follows)
        next_return[here] = returns[rows]
        next_value[here] = values[rows]
    return torch.from_numpy(returns).to(value.device)


def normalized(advantage: Tensor) -> Tensor:
    """(n,) to mean 0 and standard deviation 1 over all rows (population)."""
    return (advantage - advantage.mean()) / (advantage.std(correction=0) + 1e-10)


def margin_loss(q_values: Tensor, choice: Tensor, mask: Tensor, branches: Sequence[int], margin: float) -> Tensor:
    """(n, B) how far the best allowed choice of each branch lies above `choice`, if others count a margin more.

    q_values, mask: (n, sum of branch sizes); choice: (n, B).
    max_a [Q(s, a) + l(a, a_E)] - Q(s, a_E).  Hester et al. 2018, arXiv:1704.03732, eq. 2
    """
    tables = [torch.split_with_sizes(column, list(branches), 1) for column in (q_values, mask)]
    losses = []
    for branch, (values, allowed) in enumerate(zip(*tables, strict=True)):
        own = choice[:, branch, None]
        rivals = (values + margin).masked_fill(~allowed, -torch.inf).scatter(1, own, values.gather(1, own))
        losses.append(rivals.amax(1, keepdim=True) - values.gather(1, own))
    return torch.cat(losses, 1)


def clipped_surrogate(log_prob: Tensor, old: Tensor, advantage: Tensor, epsilon: float) -> Tensor:
    """PPO's policy loss, a scalar. Schulman et al. 2017, arXiv:1707.06347, eq. 7.

    log_prob, old: (n, D), one per action dimension and branch; advantage: (n,).
    """
    ratio = torch.exp(log_prob - old)  # per action dimension, as Unity's trainers do; most texts sum first
    gain = advantage.unsqueeze(1)
    return -torch.min(ratio * gain, ratio.clamp(1 - epsilon, 1 + epsilon) * gain).mean()


def clipped_error(value: Tensor, old: Tensor, target: Tensor, epsilon: float) -> Tensor:
    """Squared error of (n, S) values that may go only so far from `old` in one update, a scalar.

    max((R - b)^2, (R - b_old - clip(b - b_old, -epsilon, epsilon))^2), as Unity's MA-POCA has for its baseline
    """
    near = old + (value - old).clamp(-epsilon, epsilon)
    return torch.max((target - value).pow(2), (target - near).pow(2)).mean()
