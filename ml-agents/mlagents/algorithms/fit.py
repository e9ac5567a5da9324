"""How well a policy fits what was demonstrated: likelihood, right choices, and how far numbers are off."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import torch
from torch import Tensor

from mlagents.data.experience import Experience
from mlagents.nn.distributions import Distribution
from mlagents.nn.policy import Policy


class Imitation(NamedTuple):
    """How well a policy that is learned from demonstrations alone fits them: mean negative log-likelihoods of a row."""

    loss: float  # of the rows that were learned from, over the newest epoch
    held_out_loss: float | None  # the smallest on held-out episodes, whose weights are kept; None: nothing is held out
    held_out_step: int  # where it was reached


@dataclass(frozen=True)
class Fit:
    """Sums over n demonstrated rows; B is the number of branches."""

    rows: int
    surprise: Tensor  # () of -log p of what was done, over continuous actions and branches
    right: Tensor  # (B,) choices that are the policy's most probable ones
    error: Tensor  # () of |mode - action|, mean over continuous actions, as the environment gets them
    entropy: Tensor  # () of what the policy may do

    def __add__(self, other: Fit) -> Fit:
        return Fit(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(Fit)))

    @property
    def loss(self) -> Tensor:
        """The mean negative log-likelihood of a row."""
        return self.surprise / self.rows

    def metrics(self, of: str = "", *, continuous: bool) -> dict[str, float]:
        """Return right choices and errors by TensorBoard tag; of: what the tags say of the rows."""
        found = {f"Imitation/{of}Accuracy of Branch {i}": n / self.rows for i, n in enumerate(self.right.tolist())}
        if continuous:
            found[f"Imitation/{of}Absolute Error"] = self.error.item() / self.rows
        return found


def as_sampled(policy: Policy, rows: Experience) -> Experience:
    """Return demonstrated rows with the actions that the policy would have sampled, and nothing remembered."""
    memory = torch.zeros(len(rows), policy.memory_size, device=rows.reward.device)
    action = policy.from_env_action(rows.output.action)
    return replace(rows, input=replace(rows.input, memory=memory), output=replace(rows.output, action=action))


def fit_of(policy: Policy, rows: Experience, sequence: Tensor) -> Fit:
    """Return how well a policy fits rows, with gradients.

    rows: with actions as the policy samples them. sequence: (n,) which rows a memory is carried along; each sequence
    begins with the memory of its first row. A policy without memory does not look at it.
    """
    if policy.memory_size:
        parts = [_fit(policy, rows[where], found) for where, found in policy.along_sequences(rows.input, sequence)]
    else:
        parts = [_fit(policy, rows, policy.distribution(rows.input))]
    return sum(parts[1:], parts[0])


def _fit(policy: Policy, rows: Experience, distribution: Distribution) -> Fit:
    action = rows.output.action
    log_prob, entropy = distribution.evaluate(action)
    with torch.no_grad():
        mode = distribution.mode()
        off = policy.env_action(mode).continuous - policy.env_action(action).continuous
        error = off.abs().mean(1).sum() if policy.continuous else log_prob.new_zeros(())
    right = (mode.discrete == action.discrete).sum(0)
    return Fit(len(rows), -log_prob.sum(), right, error, entropy.detach().sum())
